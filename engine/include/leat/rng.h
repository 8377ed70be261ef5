// Randomness as the engine sees it: a seam, so that a simulated run is one seed.
#pragma once

#include <cstdint>
#include <memory>

namespace leat {

/// A source of uniform 64-bit numbers, for identifiers and jitter; not for secrets.
///
/// Thread-safety: any number of threads.
class Rng {
 public:
  virtual ~Rng() = default;
  virtual std::uint64_t next() noexcept = 0;
};

/// One generator per thread, each seeded from getrandom(2).
std::unique_ptr<Rng> make_system_rng();

/// The same numbers in the same order for the same seed, for one thread at a time.
/// Source: SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
std::unique_ptr<Rng> make_seeded_rng(std::uint64_t seed);

}  // namespace leat
