// Texts to dense numbers, for ever: what namespaces and executor keys are kept in. Readers never lock.
// Knows nothing of what the texts mean.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>

#include <xxhash.h>

#include "leat_locks/mutex.h"

namespace leat {

/// Grows only. `Entry` is constructed in place from (index, text, more...) and has
/// `std::string_view view() const`.
///
/// Thread-safety: any number of threads.
/// Invariants:
///   1. An entry is complete before a directory points to it.
///   2. A directory that was replaced stays alive, so that a reader may finish in it: all old ones together
///      are smaller than the present one.
template <class Entry>
class InternTable {
 public:
  InternTable() { grow(64); }

  /// Progress: lock-free; no allocation.
  [[nodiscard]] const Entry* find(std::string_view text) const noexcept {
    const Directory& directory = *directory_.load(std::memory_order_acquire);  // (1) pairs with (2)
    for (std::size_t at = XXH3_64bits(text.data(), text.size());; ++at) {
      // (3) acquire: pairs with place().
      const Entry* entry = directory.by_hash[at & directory.mask].load(std::memory_order_acquire);
      if (entry == nullptr || entry->view() == text) return entry;
    }
  }

  /// Finds or adds.
  ///
  /// Progress: locks against other writers.
  template <class... More>
  const Entry& intern(std::string_view text, More&&... more) {
    if (const Entry* known = find(text)) return *known;
    const MutexLock lock(mutex_);
    if (const Entry* known = find(text)) return *known;
    const std::uint32_t index = size();
    if (index * std::size_t{2} > current().mask) grow(2 * (current().mask + 1));
    const Entry& entry = entries_.emplace_back(index, text, std::forward<More>(more)...);
    place(current(), entry, index);
    size_.store(index + 1, std::memory_order_release);  // (5) publishes by_index[index] to at(), with (6)
    return entry;
  }

  /// @param index  below size()
  [[nodiscard]] const Entry& at(std::uint32_t index) const noexcept {
    const Directory& directory = *directory_.load(std::memory_order_acquire);  // (1) pairs with (2)
    return *directory.by_index[index].load(std::memory_order_acquire);         // (4) pairs with place()
  }

  [[nodiscard]] std::uint32_t size() const noexcept {
    return size_.load(std::memory_order_acquire);  // (6) pairs with (5)
  }

 private:
  using Slots = std::unique_ptr<std::atomic<const Entry*>[]>;
  struct Directory {
    std::size_t mask;
    Slots by_hash;   // [mask + 1], at most half full
    Slots by_index;  // [(mask + 1) / 2 + 1]
  };

  Directory& current() LEAT_REQUIRES(mutex_) { return directories_.back(); }

  void place(Directory& directory, const Entry& entry, std::uint32_t index) LEAT_REQUIRES(mutex_) {
    directory.by_index[index].store(&entry, std::memory_order_release);  // (4) publishes the entry
    std::size_t at = XXH3_64bits(entry.view().data(), entry.view().size());
    // relaxed: only the writer, under the mutex, comes here
    while (directory.by_hash[at & directory.mask].load(std::memory_order_relaxed) != nullptr) ++at;
    // (3) release: publishes the entry; pairs with find().
    directory.by_hash[at & directory.mask].store(&entry, std::memory_order_release);
  }

  void grow(std::size_t slots) LEAT_REQUIRES(mutex_) {
    using Slot = std::atomic<const Entry*>;
    Directory& directory = directories_.emplace_back(
        Directory{slots - 1, std::make_unique<Slot[]>(slots), std::make_unique<Slot[]>(slots / 2 + 1)});
    std::uint32_t index = 0;
    for (const Entry& entry : entries_) place(directory, entry, index++);
    directory_.store(&directory, std::memory_order_release);  // (2) publishes the directory
  }

  Mutex mutex_;
  std::deque<Entry> entries_ LEAT_GUARDED_BY(mutex_);
  std::deque<Directory> directories_ LEAT_GUARDED_BY(mutex_);
  std::atomic<const Directory*> directory_{nullptr};
  std::atomic<std::uint32_t> size_{0};
};

}  // namespace leat
