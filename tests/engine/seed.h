// The seed of a random test: LEAT_SEED, or a new one; printed, so that a failing run can be had again.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace leat {

inline std::mt19937_64 seeded_generator() {
  const char* given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("LEAT_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return std::mt19937_64(seed);
}

/// @return 0 to count - 1
inline std::uint32_t pick(std::mt19937_64& random, std::uint32_t count) {
  return static_cast<std::uint32_t>(random() % count);
}

}  // namespace leat
