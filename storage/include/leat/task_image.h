// A task as the fold of the journal has it, in few bytes: millions of them may be there when a store is
// opened.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "leat/context_image.h"
#include "leat/states.h"

namespace leat {

/// A text that most have not: a word while it is empty.
class RareText {
 public:
  RareText() noexcept = default;
  template <std::convertible_to<std::string_view> Text>
  RareText(const Text& text) : RareText(InPlace(), std::string_view(text)) {}
  RareText(const RareText& other) : RareText(InPlace(), std::string_view(other)) {}
  RareText(RareText&&) noexcept = default;
  RareText& operator=(RareText other) noexcept {
    text_.swap(other.text_);
    return *this;
  }

  operator std::string_view() const noexcept { return text_ == nullptr ? std::string_view() : *text_; }
  /// @return null: it is empty
  const std::string* get() const noexcept { return text_.get(); }
  bool empty() const noexcept { return text_ == nullptr; }
  std::size_t size() const noexcept { return std::string_view(*this).size(); }
  void clear() noexcept { text_.reset(); }

  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const RareText& a, const Text& b) noexcept {
    return std::string_view(a) == std::string_view(b);
  }

 private:
  struct InPlace {};
  RareText(InPlace, std::string_view text)
      : text_(text.empty() ? nullptr : std::make_unique<const std::string>(text)) {}

  std::unique_ptr<const std::string> text_;
};

/// What most have not: a word where it was never touched, which is as good as T().
template <class T>
class Rare {
 public:
  Rare() noexcept = default;
  Rare(const Rare& other) : value_(other.value_ == nullptr ? nullptr : std::make_unique<T>(*other.value_)) {}
  Rare(Rare&&) noexcept = default;
  Rare& operator=(Rare other) noexcept {
    value_.swap(other.value_);
    return *this;
  }

  const T& operator*() const noexcept {
    static const T none{};
    return value_ == nullptr ? none : *value_;
  }
  const T* operator->() const noexcept { return &**this; }
  bool untouched() const noexcept { return value_ == nullptr; }
  T& touch() {
    if (value_ == nullptr) value_ = std::make_unique<T>();
    return *value_;
  }

  friend bool operator==(const Rare& a, const Rare& b) noexcept { return *a == *b; }

 private:
  std::unique_ptr<T> value_;
};

/// A task's number, or none, in half the bytes of a std::optional.
class OptionalTask {
 public:
  OptionalTask() noexcept = default;
  OptionalTask(std::uint32_t task) noexcept : task_(task) {}

  explicit operator bool() const noexcept { return task_ != kNone; }
  std::uint32_t operator*() const noexcept { return task_; }
  std::uint32_t value_or(std::uint32_t other) const noexcept { return task_ != kNone ? task_ : other; }
  friend bool operator==(const OptionalTask&, const OptionalTask&) = default;

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::uint32_t task_ = kNone;
};

struct TaskImage {
  TaskState state = TaskState::NotStarted;
  std::uint32_t attempt = 1;
  std::uint32_t rescues = 0;
  std::uint32_t key_no = 0;  ///< the executor key of the last start; 0: never started
  std::int64_t retry_at_ns = 0;
  RareText error;
  ContextImage context;
  RareText output;        ///< empty where it lies before the checkpoint: rows do not hold it
  RareText external_ref;  ///< of the attempt that runs: its name elsewhere; empty: it has none

  friend bool operator==(const TaskImage&, const TaskImage&) = default;
};

/// A pipeline's tasks, as a vector has them; one alone, as most have, takes no block of its own.
class TaskImages {
 public:
  TaskImages() = default;
  TaskImages(std::vector<TaskImage> tasks);

  std::size_t size() const noexcept { return all().size(); }
  bool empty() const noexcept { return size() == 0; }
  TaskImage& operator[](std::size_t task) noexcept { return all()[task]; }
  const TaskImage& operator[](std::size_t task) const noexcept { return all()[task]; }
  TaskImage* begin() noexcept { return all().data(); }
  TaskImage* end() noexcept { return begin() + size(); }
  const TaskImage* begin() const noexcept { return all().data(); }
  const TaskImage* end() const noexcept { return begin() + size(); }
  /// Keeps those that are there; what comes anew is as a task is at first.
  void resize(std::size_t count);
  void push_back(TaskImage task);

  friend bool operator==(const TaskImages&, const TaskImages&) = default;

 private:
  std::span<TaskImage> all() noexcept {
    if (auto* const one = std::get_if<0>(&tasks_)) return *one;
    return std::get<1>(tasks_);
  }
  std::span<const TaskImage> all() const noexcept { return const_cast<TaskImages*>(this)->all(); }

  std::variant<std::array<TaskImage, 1>, std::vector<TaskImage>> tasks_{std::in_place_index<1>};
};

}  // namespace leat
