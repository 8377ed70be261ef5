// The name of a task, tenant::package::workflow::task, interned once so that it travels as one pointer and
// carries its cached route with it. Knows nothing of routing rules.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string_view>

#include "leat/route_error.h"

namespace leat {

/// The four segments of a task's name. Views into the text that was parsed.
struct NamespaceParts {
  std::string_view tenant;
  std::string_view package;
  std::string_view workflow;
  std::string_view task;
};

/// Takes a task's name apart.
///
/// @param name  four non-empty segments separated by `::`, at most 512 bytes
/// @return      the segments, or EmptyName, EmptySegment, NotFourSegments, TooLong
[[nodiscard]] std::expected<NamespaceParts, RouteError> parse_namespace(std::string_view name);

/// A task's name, interned: eight bytes, copied freely and good for as long as their NamespaceTable lives.
class Namespace {
 public:
  Namespace() = default;

  [[nodiscard]] bool valid() const noexcept { return entry_ != nullptr; }
  explicit operator bool() const noexcept { return valid(); }

  /// The whole name; empty if not valid().
  [[nodiscard]] std::string_view view() const noexcept {
    return entry_ == nullptr ? std::string_view() : std::string_view(entry_->text, entry_->size);
  }
  operator std::string_view() const noexcept { return view(); }

  /// @pre valid()
  [[nodiscard]] std::string_view tenant() const noexcept { return segment(0); }
  [[nodiscard]] std::string_view package() const noexcept { return segment(1); }
  [[nodiscard]] std::string_view workflow() const noexcept { return segment(2); }
  [[nodiscard]] std::string_view task() const noexcept { return segment(3); }

  /// A number from 0 in order of registration, dense within one NamespaceTable.
  ///
  /// @pre valid()
  [[nodiscard]] std::uint32_t index() const noexcept { return entry_->index; }

  /// Equality of handles of one table; views compare as text.
  friend bool operator==(Namespace a, Namespace b) noexcept { return a.entry_ == b.entry_; }

 private:
  friend class NamespaceTable;
  friend class Router;

  struct Entry {
    /// Executor key or split rule; in the upper half the epoch of the route table that it was read from.
    mutable std::atomic<std::uint64_t> route{0};
    std::uint32_t index;
    std::uint16_t size;    ///< bytes
    std::uint16_t end[4];  ///< end of each segment, in bytes from the start
    const char* text;
  };

  explicit Namespace(const Entry* entry) noexcept : entry_(entry) {}

  [[nodiscard]] std::string_view segment(std::size_t i) const noexcept {
    const std::size_t begin = i == 0 ? 0 : entry_->end[i - 1] + std::size_t{2};
    return {entry_->text + begin, entry_->end[i] - begin};
  }

  const Entry* entry_ = nullptr;
};

/// All task names of one Runner. Names are never removed: there are as many as task definitions.
///
/// Thread-safety: any number of threads.
class NamespaceTable {
 public:
  NamespaceTable();
  ~NamespaceTable();
  NamespaceTable(const NamespaceTable&) = delete;
  NamespaceTable& operator=(const NamespaceTable&) = delete;

  /// Registers a task's name; the same name gives the same handle.
  ///
  /// @param name  four segments, as parse_namespace() takes them
  /// Progress: locks against other writers; allocates for a new name.
  [[nodiscard]] std::expected<Namespace, RouteError> intern(std::string_view name);

  /// @return the handle of a registered name, else an invalid one
  /// Progress: lock-free; no allocation.
  [[nodiscard]] Namespace find(std::string_view name) const noexcept;

  /// @param index  below size()
  [[nodiscard]] Namespace at(std::uint32_t index) const noexcept;

  [[nodiscard]] std::uint32_t size() const noexcept;

 private:
  friend class Router;

  /// A number that no other route table over these names has: cached routes are compared by it.
  [[nodiscard]] std::uint32_t next_epoch() noexcept;

  struct Store;
  std::unique_ptr<Store> store_;
};

}  // namespace leat

template <>
struct std::hash<leat::Namespace> {
  /// By number, so that no order depends on an address.
  std::size_t operator()(leat::Namespace name) const noexcept {
    return name.valid() ? (name.index() + std::size_t{1}) * std::size_t{0x9E3779B97F4A7C15u} : 0;
  }
};
