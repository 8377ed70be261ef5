#include "leat/task_context.h"

#include <fmt/format.h>

#include <utility>

#include "completion.h"
#include "pipeline.h"

namespace leat {

const std::stop_token& TaskContext::stop_token() {
  if (stop_ == nullptr) {
    stop_ = std::make_unique<const std::stop_token>(control_ != nullptr ? control_->stop_token()
                                                                        : std::stop_token());
  }
  return *stop_;
}

std::string_view TaskContext::task_name() const noexcept {
  const std::string_view whole = task_namespace();
  const std::size_t separator = whole.rfind("::");
  return separator == whole.npos ? whole : whole.substr(separator + 2);
}

TaskContext::Loaded& TaskContext::loaded() {
  if (loaded_ == nullptr) {
    loaded_ = std::make_unique<Loaded>();
    const auto text = services_.load_context(event_);
    auto parsed = text ? Context::parse(*text) : std::unexpected(text.error());
    if (parsed) {
      loaded_->context = std::move(*parsed);
    } else {
      loaded_->error =
          Error{parsed.error().code, fmt::format("cannot load the context: {}", parsed.error().message)};
    }
  }
  return *loaded_;
}

std::expected<const Context*, Error> TaskContext::load() {
  const Loaded& state = loaded();
  if (state.error) return std::unexpected(*state.error);
  return &state.context;
}

const std::optional<Error>& TaskContext::load_error() const noexcept {
  static constexpr std::optional<Error> kNone;
  return loaded_ == nullptr ? kNone : loaded_->error;
}

const Context& TaskContext::context() {
  return loaded().context;  // an error is kept, and told by save()
}

Context& TaskContext::edit() {
  loaded().changed = true;
  return loaded_->context;
}

std::expected<void, Error> TaskContext::save() {
  if (loaded_ == nullptr) return {};
  if (loaded_->error) return std::unexpected(*loaded_->error);
  if (!loaded_->changed) return {};
  const std::string text = loaded_->context.to_json();
  if (auto fits = check_context_size(text.size()); !fits) return fits;
  return services_.stage_context(event_, text);
}

std::expected<Uuid, Error> TaskContext::start_child(std::string_view name, const Workflow& workflow,
                                                    std::string context) {
  Pipeline* const pipeline = pipeline_of(event_);
  if (pipeline == nullptr)
    return std::unexpected(
        Error{ErrorCode::InvalidState, "the task is in no pipeline, which could have a child"});
  return pipeline->start_child(event_, name, workflow, std::move(context));
}

std::expected<void, TaskError> TaskContext::begin_coroutine(const CoroutineFunction& function) {
  coroutine_ = &function;
  return std::unexpected(
      TaskError("the task is a coroutine, which this executor does not run; ThreadTaskExecutor does")
          .for_good());
}

}  // namespace leat
