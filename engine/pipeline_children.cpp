// Children: pipelines that a task of this one starts by name. A child's end is a signal to its parent, and
// the end of the parent is its children's. Who tells whom, the Scheduler sees to.
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "leat/context.h"
#include "pipeline.h"
#include "refusal.h"

namespace leat {
namespace {

// Of an end's text without its context.
constexpr std::size_t kEndBytesMax = std::size_t{4} << 10;

}  // namespace

void Pipeline::set_parent(ParentImage parent) {
  rare().kin = std::make_unique<Rare::Kin>(Rare::Kin{std::move(parent), {}});
}

/// As old as its parent, so that both lie together; the rest is a hash.
Uuid Pipeline::child_id(std::uint32_t signal) const noexcept {
  const std::string& name = workflow_->signals[signal].name;
  const auto& parent = identity_.id.bytes;
  const XXH128_hash_t hash =
      XXH3_128bits_withSeed(name.data(), name.size(), XXH3_64bits(parent.data(), parent.size()));
  std::uint64_t unix_ms = 0;
  for (std::size_t i = 0; i < 6; ++i) unix_ms = unix_ms << 8 | parent[i];
  return Uuid::make_v7(unix_ms, static_cast<std::uint32_t>(hash.high64), hash.low64);
}

std::expected<Uuid, Error> Pipeline::start_child(const TaskReadyEvent& event, std::string_view name,
                                                 const Workflow& workflow, std::string context) {
  const auto signal = workflow_->workflow.find_signal(name);
  const std::vector<std::uint32_t>& declared = workflow_->definitions[event.task_number].children;
  if (!signal || std::ranges::find(declared, *signal) == declared.end()) {
    return fail(ErrorCode::NotFound, "task '" + std::string(std::string_view(event.task_namespace)) +
                                         "' declares no child '" + std::string(name) +
                                         "' (TaskOptions::children)");
  }
  if (running(event.task_number, event.attempt) == nullptr)
    return fail(ErrorCode::Cancelled, "the attempt that would start '" + std::string(name) + "' is over");
  const ParentLink link{.pipeline = identity_.id,
                        .pipeline_no = identity_.pipeline_no,
                        .depth = identity_.is_child ? parent().depth + 1 : 1,
                        .name = name};
  if (link.depth > kChildDepthMax) {
    return fail(ErrorCode::InvalidState, "child '" + std::string(name) + "' would have more than " +
                                             std::to_string(kChildDepthMax) + " pipelines above it");
  }
  const Uuid id = child_id(*signal);
  if (!signals()->begin_child(*signal)) return id;
  if (auto begun = host_.begin_child(*this, id, link, workflow, std::move(context)); !begun) {
    signals()->forget_child(*signal);
    return std::unexpected(std::move(begun.error()));
  }
  return id;
}

std::vector<Uuid> Pipeline::open_children() const {
  std::vector<Uuid> children;
  for (std::uint32_t signal = 0; signal < workflow_->signals.size(); ++signal) {
    if (workflow_->signals[signal].is_child && signals()->awaits_child(signal))
      children.push_back(child_id(signal));
  }
  return children;
}

void Pipeline::remember_children(const SignalValues& ends, const std::set<Uuid>& remembered) {
  for (std::uint32_t signal = 0; signal < workflow_->signals.size(); ++signal) {
    const SignalDefinition& child = workflow_->signals[signal];
    if (child.is_child && (ends.contains(child.name) || remembered.contains(child_id(signal))))
      signals()->begin_child(signal);
  }
}

/// What the parent is told of this pipeline's end: it stays until it has been told.
std::string_view Pipeline::compose_end() {
  const PipelineState end = end_state();
  Context word;
  word.set("pipeline", identity_.id.to_string());
  word.set("state", to_string(end));
  std::string error = error_of(end);
  if (rare_->errors.begin() != rare_->errors.end() && end == PipelineState::Failed) {
    const auto& [task, text] = *rare_->errors.begin();
    error += "; '" + std::string(workflow_->definitions[task].name) + "': " + text;
  }
  std::string read;
  const auto context = read_text(last_context(), read);
  if (!context) {
    error = "its context cannot be read: " + context.error().message;
  } else if (context->size() + kEndBytesMax > kSignalBytesMax) {
    error = "its context of " + std::to_string(context->size()) + " bytes is left out (accepted: up to " +
            std::to_string(kSignalBytesMax - kEndBytesMax) + ")" + (error.empty() ? "" : ": " + error);
  } else {
    static_cast<void>(word.set_json("context", *context));  // it was parsed when it was saved
  }
  // Few enough for whatever its bytes become in JSON.
  if (!error.empty()) word.set("error", std::string_view(error).substr(0, kEndBytesMax / 8));
  if (identity_.level != Durability::Memory) host_.child_ends();
  return rare_->kin->word = word.to_json();
}

void Pipeline::post_child_end(std::string name, std::string value) {
  const auto message = std::make_shared<ChildEndMessage>();
  message->kind = PipelineMessage::Kind::ChildEnded;
  message->name = std::move(name);
  message->told = std::move(value);
  message->text = message->name;
  message->value = message->told;
  message->self = message;
  post(*message);
}

}  // namespace leat
