// Makes the identifiers of pipelines and task executions. They come from the engine's clock and randomness, so that
// a simulated run makes the same ones each time.
#pragma once

#include <atomic>
#include <cstdint>

#include "leat/clock.h"
#include "leat/rng.h"
#include "leat/uuid.h"

namespace leat {

/// Thread-safety: any number of threads.  Progress: lock-free.
class IdSource {
 public:
  IdSource(Clock& clock, Rng& rng) noexcept : clock_(clock), rng_(rng) {}

  /// A fresh time-ordered identifier: RFC 9562 version 7, with a counter in the 12 bits behind the millisecond.
  Uuid next() noexcept {
    // relaxed: only the counter's own value matters, no other data is published with it.
    const std::uint32_t counter = counter_.fetch_add(1, std::memory_order_relaxed);
    return Uuid::make_v7(static_cast<std::uint64_t>(clock_.unix_ns()) / 1'000'000, counter & 0xfff, rng_.next());
  }

  /// The identifier of one task within a pipeline: derived, so that nothing has to be stored for it.
  static Uuid of_task(const Uuid& pipeline, std::uint32_t task) noexcept {
    std::uint64_t mixed = pipeline.hash() + (std::uint64_t{task} + 1) * 0x9e3779b97f4a7c15U;
    mixed ^= mixed >> 29;
    std::uint64_t unix_ms = 0;
    for (int i = 0; i < 6; ++i) unix_ms = unix_ms << 8 | pipeline.bytes[static_cast<std::size_t>(i)];
    return Uuid::make_v7(unix_ms, task & 0xfff, mixed * 0xbf58476d1ce4e5b9U);
  }

 private:
  Clock& clock_;
  Rng& rng_;
  std::atomic<std::uint32_t> counter_{0};
};

}  // namespace leat
