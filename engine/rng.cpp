#include "leat/rng.h"

#include <sys/random.h>

#include <atomic>

namespace leat {
namespace {

std::uint64_t split_mix(std::uint64_t& state) noexcept {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

std::uint64_t seed_from_system() noexcept {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = reinterpret_cast<std::uintptr_t>(&seed);
  return seed;
}

class SystemRng final : public Rng {
 public:
  std::uint64_t next() noexcept override {
    constinit thread_local std::uint64_t state = 0;
    if (state == 0) [[unlikely]]
      state = seed_from_system();
    return split_mix(state);
  }
};

class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() noexcept override {
    // relaxed: the contract allows one thread at a time; the atomic only keeps a misuse from being undefined.
    std::uint64_t state = state_.load(std::memory_order_relaxed);
    const std::uint64_t number = split_mix(state);
    state_.store(state, std::memory_order_relaxed);
    return number;
  }

 private:
  std::atomic<std::uint64_t> state_;
};

}  // namespace

std::unique_ptr<Rng> make_system_rng() {
  return std::make_unique<SystemRng>();
}
std::unique_ptr<Rng> make_seeded_rng(std::uint64_t seed) {
  return std::make_unique<SeededRng>(seed);
}

}  // namespace leat
