// The contexts of a pipeline's tasks: what each starts from, what it leaves, and where their texts are.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "leat/context.h"
#include "pipeline.h"
#include "store_failure.h"

namespace leat {

std::expected<std::shared_ptr<const SharedContext>, Error> Pipeline::input_context(std::uint32_t task) const {
  auto merged = merged_context(task);
  if (workflow_->signals.empty() || !merged) return merged;
  return with_signal(task, std::move(*merged));
}

/// Of the task's dependencies; the initial one where it has none.
std::expected<std::shared_ptr<const SharedContext>, Error> Pipeline::merged_context(
    std::uint32_t task) const {
  const auto after = workflow_->definitions[task].after;
  if (after.empty()) return initial_context_;
  const std::shared_ptr<const SharedContext>* only = nullptr;
  bool differ = false;
  for (const std::uint32_t dependency : after) {
    const auto& context = tasks_[dependency].context;
    // Not Completed, or the text we have.
    if (context == nullptr || (only != nullptr && context == *only)) continue;
    differ = only != nullptr;
    only = &context;
    if (differ) break;
  }
  if (only == nullptr) return SharedContext::none();
  if (!differ) return *only;
  std::vector<std::string> read(after.size());
  std::vector<std::string_view> texts;
  for (const std::uint32_t dependency : after) {
    const auto& context = tasks_[dependency].context;
    if (context == nullptr) continue;
    const auto text = read_text(*context, read[texts.size()]);
    if (!text) return std::unexpected(text.error());
    texts.push_back(*text);
  }
  auto merged = Context::merge(texts);
  if (!merged) return std::unexpected(std::move(merged.error()));
  if (auto fits = check_context_size(merged->size()); !fits)
    return std::unexpected(Error{fits.error().code, "merged, " + fits.error().message});
  return std::make_shared<const SharedContext>(std::move(*merged));
}

std::expected<std::string_view, Error> Pipeline::read_text(const SharedContext& context,
                                                           std::string& read) const {
  if (const Error* const lost = context.lost()) return std::unexpected(*lost);
  if (!context.in_store_alone()) return context.text();
  auto text = host_.journal()->read_context(context.place(), context.mark());
  if (!text) return std::unexpected(to_error(text.error()));
  read = std::move(*text);
  return read;
}

std::expected<std::string, Error> Pipeline::load_context(std::uint32_t task) const {
  const auto context = input_context(task);
  if (!context) return std::unexpected(context.error());
  std::string read;
  const auto text = read_text(**context, read);
  if (!text) return std::unexpected(text.error());
  return std::string(*text);
}

std::expected<std::string, Error> Pipeline::initial_context() const {
  std::string read;
  const auto text = read_text(*initial_context_, read);
  if (!text) return std::unexpected(text.error());
  return std::string(*text);
}

/// Whether what the task saved is what it began with, and large: then it is not written once more.
bool Pipeline::is_input(std::uint32_t task, const std::string& staged) const {
  if (staged.size() <= kContextInlineBytesMax) return false;
  const auto input = input_context(task);
  return input && (*input)->is(staged);
}

/// @param staged  null: as it came in
void Pipeline::save_context(std::uint32_t index, std::shared_ptr<const SharedContext> staged) {
  tasks_[index].staged = staged != nullptr;
  if (staged != nullptr) {
    tasks_[index].context = std::move(staged);
  } else if (auto input = input_context(index)) {
    tasks_[index].context = std::move(*input);
  } else {  // a process before this one ended the task: whoever asks for its context fails by that
    const std::string name(workflow_->definitions[index].name);
    tasks_[index].context = std::make_shared<const SharedContext>(
        Error{input.error().code, "the context of task '" + name + "': " + input.error().message});
  }
}

/// What a task that saved nothing hands on. @return why it cannot
std::expected<std::shared_ptr<const SharedContext>, Error> Pipeline::handed_on(std::uint32_t task) const {
  auto input = input_context(task);
  if (input && (*input)->lost() != nullptr) return std::unexpected(*(*input)->lost());
  return input;
}

/// A handle may ask for the result when no store is there any more. @pre no task is open
void Pipeline::keep_result() {
  const SharedContext& last = last_context();
  if (!last.in_store_alone()) return;
  std::string read;
  const auto text = read_text(last, read);
  rare().result.emplace(text ? std::expected<std::string, Error>(std::move(read))
                             : std::unexpected(text.error()));
}

}  // namespace leat
