// Random patterns and names over an alphabet so small that they meet often.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace leat {

/// The seed of a random test: LEAT_SEED, or a new one; printed, so that a failing run can be had again.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("LEAT_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

class RandomRoutes {
 public:
  explicit RandomRoutes(std::uint64_t seed) : rng_(seed) {}

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(rng_() % bound); }

  /// One to `segments` segments of literals, stars and globs.
  std::string pattern(std::uint32_t segments) {
    std::string text;
    for (std::uint32_t left = 1 + below(segments); left > 0; --left) {
      if (!text.empty()) text += "::";
      switch (below(8)) {
        case 0:
          text += "*";
          break;
        case 1:
        case 2:
          text += "**";
          break;
        case 3:
        case 4:
          text += glob();
          break;
        default:
          text += word(3);
      }
    }
    return text;
  }

  std::string name(std::uint32_t segments) {
    std::string text;
    for (std::uint32_t left = 1 + below(segments); left > 0; --left) {
      if (!text.empty()) text += "::";
      text += word(below(4) == 0 ? 12 : 4);
    }
    return text;
  }

 private:
  /// One to `size` letters of a, b and, seldom, a colon or star, which are ordinary in a name.
  std::string word(std::uint32_t size) {
    std::string text;
    for (std::uint32_t left = 1 + below(size); left > 0; --left) {
      const std::uint32_t letter = below(64);
      text += letter == 0 ? ':' : letter < 36 ? 'a' : 'b';
    }
    return text;
  }

  std::string glob() {
    std::string text = below(2) == 0 ? word(2) : "";
    for (std::uint32_t stars = 1 + below(3); stars > 0; --stars) {
      text += below(16) == 0 ? "**" : "*";
      if (stars > 1) text += word(2);
    }
    return below(2) == 0 ? text : text + word(2);
  }

  std::mt19937_64 rng_;
};

}  // namespace leat
