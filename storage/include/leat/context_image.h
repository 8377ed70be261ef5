// Contexts as records, rows of the checkpoint and images have them: a small one is its text; for a large one
// stands a mark, and the text lies apart in the store: written once, with the group that brings it, and read
// when it is asked for.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace leat {

/// A context of more bytes lies apart. There it costs two pairs of its own, about 100 bytes; inline it is
/// written again by every round of the checkpoint, and in memory from the opening on.
inline constexpr std::size_t kContextInlineBytesMax = 1024;

/// Whose a context is: each pipeline has a place for what it began with and one for what each task saved. A
/// place is filled once at most.
struct ContextPlace {
  std::uint64_t pipeline_no = 0;
  std::uint32_t place = 0;  ///< 0: the pipeline's own; else a task's number + 1

  static constexpr ContextPlace of_pipeline(std::uint64_t pipeline_no) noexcept { return {pipeline_no, 0}; }
  static constexpr ContextPlace of_task(std::uint64_t pipeline_no, std::uint32_t task) noexcept {
    return {pipeline_no, task + 1};
  }
  friend auto operator<=>(const ContextPlace&, const ContextPlace&) = default;
};

/// Stands for a text that lies apart: a checksum of the text and of its place. None is even, all others odd.
enum class ContextMark : std::uint64_t { None = 0 };

ContextMark mark_of(std::string_view text, const ContextPlace& place) noexcept;

/// A context as a record has it.
struct ContextView {
  std::string_view text = {};  ///< empty where it lies apart
  ContextMark mark = ContextMark::None;

  ContextView() noexcept = default;
  template <std::convertible_to<std::string_view> Text>
  ContextView(const Text& its_text) noexcept : text(its_text) {}
  explicit ContextView(ContextMark its_mark) noexcept : mark(its_mark) {}

  bool empty() const noexcept { return text.empty() && mark == ContextMark::None; }
  bool is_apart() const noexcept { return mark != ContextMark::None; }

  friend bool operator==(const ContextView& a, const ContextView& b) noexcept {
    return a.text == b.text && a.mark == b.mark;
  }
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const ContextView& a, const Text& b) noexcept {
    return a == ContextView(b);
  }
};

/// The context as it is to be remembered at its place: a large text becomes the mark that stands for it.
ContextView as_remembered(const ContextView& context, const ContextPlace& place) noexcept;

/// A ContextView that owns its text, in one word: millions may be there when a store is opened.
class ContextImage {
 public:
  ContextImage() noexcept = default;
  ContextImage(const ContextView& context);
  template <std::convertible_to<std::string_view> Text>
  ContextImage(const Text& text) : ContextImage(ContextView(text)) {}
  ContextImage(const ContextImage& other) : ContextImage(other.view()) {}
  ContextImage(ContextImage&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
  ContextImage& operator=(ContextImage other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~ContextImage();

  ContextView view() const noexcept;
  /// Empty where it lies apart.
  operator std::string_view() const noexcept { return view().text; }
  ContextMark mark() const noexcept { return view().mark; }
  bool empty() const noexcept { return word_ == 0; }
  bool is_apart() const noexcept { return (word_ & 1) != 0; }

  friend bool operator==(const ContextImage& a, const ContextImage& b) noexcept {
    return a.view() == b.view();
  }
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const ContextImage& a, const Text& b) noexcept {
    return a.view() == ContextView(b);
  }

 private:
  static_assert(sizeof(void*) <= sizeof(std::uint64_t));
  const std::string* text() const noexcept;

  std::uint64_t word_ = 0;  // 0: empty; odd: the mark; else the text's address
};

}  // namespace leat
