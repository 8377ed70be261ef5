// A log-linear histogram of durations, cheap enough to be always on. Debian packages no C or C++ HDR
// histogram (only the Java and Go ones), so this is the one piece of statistics that leat writes itself.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "leat/metrics.h"

namespace leat {

/// Counts values of 0 to 2^42 ns (73 minutes; larger ones count as the largest) in buckets no wider than
/// 1/128 of their value, so that every reported value is within 1 %.
///
/// Thread-safety: one writer (record) or any number (record_shared); readers at any time.
/// Source: the bucket layout of HdrHistogram (Gil Tene), https://hdrhistogram.org.
class Histogram {
 public:
  static constexpr std::size_t kStepBits = 7;
  static constexpr std::size_t kSteps = std::size_t{1} << kStepBits;
  static constexpr std::size_t kValueBits = 42;
  static constexpr std::size_t kBuckets = (kValueBits - kStepBits) * kSteps + kSteps;

  /// By the only writer of this histogram.
  void record(std::int64_t value_ns) noexcept {
    auto& bucket = buckets_[index_of(clamp(value_ns))];
    // relaxed: a count alone; a reader may miss the latest ones, which the contract allows.
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  /// By one of several writers.
  void record_shared(std::int64_t value_ns) noexcept {
    // relaxed: as in record().
    buckets_[index_of(clamp(value_ns))].fetch_add(1, std::memory_order_relaxed);
  }

  /// A plain copy that others can be added to.
  class Sum {
   public:
    void add(const Histogram& other) noexcept {
      for (std::size_t i = 0; i < kBuckets; ++i)
        counts_[i] += other.buckets_[i].load(std::memory_order_relaxed);
    }

    LatencySummary summary() const noexcept {
      LatencySummary result;
      for (const std::uint64_t count : counts_) result.count += count;
      if (result.count == 0) return result;
      const std::uint64_t rank50 = (result.count + 1) / 2;
      const std::uint64_t rank99 = result.count - result.count / 100;
      std::uint64_t seen = 0;
      for (std::size_t i = 0; i < kBuckets; ++i) {
        if (counts_[i] == 0) continue;
        if (seen < rank50 && seen + counts_[i] >= rank50) result.p50 = value_of(i);
        if (seen < rank99 && seen + counts_[i] >= rank99) result.p99 = value_of(i);
        seen += counts_[i];
        result.max = value_of(i);
      }
      return result;
    }

    /// visit(value_ns, count) for each bucket that is not empty, ascending; the value is the bucket's middle.
    template <class Visit>
    void each(const Visit& visit) const {
      for (std::size_t i = 0; i < kBuckets; ++i) {
        if (counts_[i] > 0) visit(value_of(i), counts_[i]);
      }
    }

   private:
    std::array<std::uint64_t, kBuckets> counts_{};
  };

  /// The bucket of a value: exact below 128, then 128 buckets for each power of two.
  static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    if (value < kSteps) return value;
    const auto shift = static_cast<std::size_t>(std::bit_width(value)) - 1 - kStepBits;
    return (shift + 1) * kSteps + ((value >> shift) - kSteps);
  }

  /// The middle of a bucket.
  static constexpr std::uint64_t value_of(std::size_t index) noexcept {
    if (index < kSteps) return index;
    const std::size_t shift = index / kSteps - 1;
    const std::uint64_t low = (kSteps + index % kSteps) << shift;
    return low + ((std::uint64_t{1} << shift) >> 1);
  }

 private:
  static constexpr std::uint64_t clamp(std::int64_t value) noexcept {
    return static_cast<std::uint64_t>(
        std::clamp<std::int64_t>(value, 0, (std::int64_t{1} << kValueBits) - 1));
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
};

}  // namespace leat
