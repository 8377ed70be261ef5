#include <fmt/format.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "leat/process.h"

namespace leat {
namespace {

using Json = nlohmann::json;

/// @return the spec, or why `config` is none
std::expected<ProcessSpec, std::string> parse_config(std::string_view config) {
  const Json json = Json::parse(config, nullptr, false);
  const auto command = json.is_object() ? json.find("run") : json.end();
  if (!json.is_object() || command == json.end() || !command->is_array() || command->empty()) {
    return std::unexpected(
        "the task's config has no command (accepted: {\"run\": [\"program\", \"argument\", ...]})");
  }
  ProcessSpec spec;
  for (const Json& argument : *command) {
    if (!argument.is_string()) return std::unexpected("an argument in the task's 'run' is not a string");
    spec.command.push_back(argument.get<std::string>());
  }
  if (const auto directory = json.find("cwd"); directory != json.end()) {
    if (!directory->is_string()) return std::unexpected("the task's 'cwd' is not a string");
    spec.directory = directory->get<std::string>();
  }
  if (const auto variables = json.find("env"); variables != json.end()) {
    if (!variables->is_object()) return std::unexpected("the task's 'env' is not an object of strings");
    for (const auto& [name, value] : variables->items()) {
      if (!value.is_string()) return std::unexpected("the task's 'env' is not an object of strings");
      spec.environment.emplace_back(name, value.get<std::string>());
    }
  }
  return spec;
}

std::string_view last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text.substr(text.rfind('\n') + 1);
}

/// One running attempt, shared by its cancel callback and its end.
struct ProcessAttempt {
  static constexpr ProcessId kCancelled = ~ProcessId{0};
  CompletionToken token;
  std::atomic<ProcessId> process = 0;  // 0: not started yet
};

ExecutionResult outcome(const Uuid& task, const ProcessResult& ended) {
  if (ended.succeeded()) return ExecutionResult::success(task, ended.duration);
  constexpr std::size_t kQuotedBytesMax = 200;
  std::string message = ended.describe();
  if (const auto line = last_line(ended.output).substr(0, kQuotedBytesMax); !line.empty()) {
    message += fmt::format(": {}", line);
  }
  return ExecutionResult::retry(task, std::move(message), ended.duration);
}

}  // namespace

ProcessExecutor::ProcessExecutor(std::chrono::nanoseconds kill_grace) : runner_(kill_grace) {}

void ProcessExecutor::start(const TaskReadyEvent& event, CompletionToken token) {
  start_with(event, services().task_config(event), std::move(token));
}

void ProcessExecutor::start_with(const TaskReadyEvent& event, std::string_view config,
                                 CompletionToken token) {
  const Uuid task = event.task_execution_id;
  auto spec = parse_config(config);
  if (!spec) return token.complete(ExecutionResult::failed(task, std::move(spec.error())));
  spec->environment.emplace_back("LEAT_TASK", std::string_view(event.task_namespace));
  spec->environment.emplace_back("LEAT_PIPELINE", event.pipeline_execution_id.to_string());
  spec->environment.emplace_back("LEAT_ATTEMPT", std::to_string(event.attempt));

  const auto attempt = std::make_shared<ProcessAttempt>();
  attempt->token = std::move(token);
  attempt->token.on_cancel([this, attempt = std::weak_ptr(attempt)] {
    const auto running = attempt.lock();
    if (!running) return;
    // (1) acq_rel: pairs with (2) below: whoever comes second sees the other and terminates.
    const ProcessId id = running->process.exchange(ProcessAttempt::kCancelled, std::memory_order_acq_rel);
    if (id != 0 && id != ProcessAttempt::kCancelled) runner_.terminate(id);
  });
  const auto started = runner_.start(
      *spec,
      [attempt, task](const ProcessResult& ended) {
        attempt->token.append_output(ended.output);
        attempt->token.complete(outcome(task, ended));
      },
      [attempt](int pid) { attempt->token.note_child(pid); });
  if (!started) {
    // Out of processes, memory or descriptors may pass; a program that is not there will not appear.
    const bool passing = started.error().code == ErrorCode::InvalidState;
    return attempt->token.complete(ExecutionResult::failed(task, started.error().message, passing));
  }
  // (2) acq_rel: pairs with (1).
  if (attempt->process.exchange(*started, std::memory_order_acq_rel) == ProcessAttempt::kCancelled) {
    runner_.terminate(*started);
  }
}

}  // namespace leat
