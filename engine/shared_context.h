// A context as the tasks of a pipeline share it. Knows no store.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "leat/context_image.h"
#include "leat/error.h"

namespace leat {

/// Its text, or, where an earlier process brought a large one, its place in the store: it is read when a task
/// asks for it. Or why there is none, for whoever asks.
class SharedContext {
 public:
  SharedContext(std::string text) : text_(std::move(text)) {}
  SharedContext(const ContextImage& image, const ContextPlace& place)
      : text_(std::string_view(image)), mark_(image.mark()), place_(place) {}
  explicit SharedContext(Error lost) : lost_(std::make_unique<const Error>(std::move(lost))) {}

  /// {}. Owned by nobody: a count of its users would be the one line that all workers write for each task.
  static std::shared_ptr<const SharedContext> none() {
    static const SharedContext context(std::string("{}"));
    return {std::shared_ptr<const void>(), &context};
  }

  /// Null: it is there.
  const Error* lost() const noexcept { return lost_.get(); }
  bool in_store_alone() const noexcept { return mark_ != ContextMark::None; }
  /// @pre  it is not in the store alone, nor lost
  const std::string& text() const noexcept { return text_; }
  /// @pre  it is in the store alone
  ContextMark mark() const noexcept { return mark_; }
  const ContextPlace& place() const noexcept { return place_; }
  ContextView view() const noexcept { return in_store_alone() ? ContextView(mark_) : ContextView(text_); }

  /// Whether it is this text, without reading it.
  bool is(std::string_view text) const noexcept {
    return in_store_alone() ? mark_of(text, place_) == mark_ : text_ == text;
  }

 private:
  std::string text_;
  ContextMark mark_ = ContextMark::None;
  ContextPlace place_;
  std::unique_ptr<const Error> lost_;
};

}  // namespace leat
