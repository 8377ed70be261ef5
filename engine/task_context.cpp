#include "leat/task_context.h"

#include <fmt/format.h>

namespace leat {

TaskContext::TaskContext(const TaskReadyEvent& event, ExecutorServices& services,
                         std::function<std::stop_token()> stop, std::function<void(std::string_view)> output)
    : event_(event), services_(services), make_stop_(std::move(stop)), output_(std::move(output)) {}

const std::stop_token& TaskContext::stop_token() const {
  if (!stop_) stop_ = make_stop_ ? make_stop_() : std::stop_token();
  return *stop_;
}

std::string_view TaskContext::task_name() const noexcept {
  const std::string_view whole = task_namespace();
  const std::size_t separator = whole.rfind("::");
  return separator == whole.npos ? whole : whole.substr(separator + 2);
}

std::expected<const Context*, Error> TaskContext::load() {
  if (!loaded_) {
    loaded_ = true;
    const auto text = services_.load_context(event_);
    auto parsed = text ? Context::parse(*text) : std::unexpected(text.error());
    if (parsed) {
      context_ = std::move(*parsed);
    } else {
      load_error_ =
          Error{parsed.error().code, fmt::format("cannot load the context: {}", parsed.error().message)};
    }
  }
  if (load_error_) return std::unexpected(*load_error_);
  return &context_;
}

const Context& TaskContext::context() {
  static_cast<void>(load());  // an error is kept, and told by save()
  return context_;
}

Context& TaskContext::edit() {
  static_cast<void>(load());
  changed_ = true;
  return context_;
}

void TaskContext::append_output(std::string_view text) {
  if (output_) output_(text);
}

std::expected<void, Error> TaskContext::save() {
  if (load_error_) return std::unexpected(*load_error_);
  if (!changed_) return {};
  const std::string text = context_.to_json();
  if (auto fits = check_context_size(text.size()); !fits) return fits;
  return services_.stage_context(event_, text);
}

}  // namespace leat
