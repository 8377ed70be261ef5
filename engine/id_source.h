// Makes the identifiers of pipelines and task executions. They come from the engine's clock and randomness,
// so that a simulated run makes the same ones each time.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "leat/clock.h"
#include "leat/rng.h"
#include "leat/uuid.h"

namespace leat {

/// Thread-safety: any number of threads.  Progress: lock-free.
class IdSource {
 public:
  IdSource(Clock& clock, Rng& rng) noexcept : clock_(clock), rng_(rng) {}

  /// A fresh time-ordered identifier: RFC 9562 version 7, with a counter in the 12 bits behind
  /// the millisecond.
  Uuid next() noexcept {
    Uuid id;
    next(1, [&id](std::size_t, const Uuid& fresh) { id = fresh; });
    return id;
  }

  /// `count` of them, with one look at the clock. @param use  use(std::size_t index, const Uuid& id)
  template <class Use>
  void next(std::size_t count, const Use& use) noexcept {
    const std::uint64_t now_ms = clock_.unix_ms();
    // relaxed, and no read-modify-write, which would cost more than all the rest: two threads may get the
    // same numbers, and differ in their random bits.
    const std::uint32_t counter = counter_.load(std::memory_order_relaxed);
    counter_.store(counter + static_cast<std::uint32_t>(count), std::memory_order_relaxed);
    for (std::size_t i = 0; i < count; ++i) {
      use(i, Uuid::make_v7(now_ms, (counter + static_cast<std::uint32_t>(i)) & 0xfff, rng_.next()));
    }
  }

  /// The identifier of one task within a pipeline: the pipeline's, with the task's number mixed into the
  /// random bits, so that nothing has to be stored for it. Never the pipeline's own.
  static Uuid of_task(const Uuid& pipeline, std::uint32_t task) noexcept {
    Uuid id = pipeline;
    // Odd: no two tasks alike. Its low 56 bits go into the bytes 9 to 15, the lowest first.
    std::uint64_t mixed = (std::uint64_t{task} + 1) * 0x9e3779b97f4a7c15U << 8;
    if constexpr (std::endian::native == std::endian::big) mixed = __builtin_bswap64(mixed);
    std::uint64_t low;
    std::memcpy(&low, &id.bytes[8], sizeof low);
    low ^= mixed;
    std::memcpy(&id.bytes[8], &low, sizeof low);
    return id;
  }

 private:
  Clock& clock_;
  Rng& rng_;
  // On a line of its own: whoever dispatches writes it, and workers read what lies around this object.
  alignas(64) std::atomic<std::uint32_t> counter_{0};
};

static_assert(sizeof(IdSource) % 64 == 0, "nothing else shares the counter's line");

}  // namespace leat
