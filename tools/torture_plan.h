// How one life of `leat torture` shall go, and how it may end.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>

namespace leat::tools {

struct TorturePlan {
  std::string point = {};  ///< dies there by its own hand; empty: is killed from outside
  std::uint32_t passes = 1;
  std::string trouble = {};
  int hours = 0;                              ///< that its wall clock is ahead, see TortureLifeOptions
  std::chrono::microseconds kill_after = {};  ///< from its birth
  std::chrono::milliseconds freeze = {};      ///< SIGSTOP for so long, before that
  bool clean = false;                         ///< SIGTERM instead
  bool drain = false;                         ///< ends by itself, and what it finds before

  static TorturePlan make(std::mt19937_64& random);
  /// Of a store's last life: its clock is ahead of what any other was told.
  static TorturePlan to_end_all();

  /// @param status  as TortureChild::wait() says it
  bool may_end_so(int status) const;
  /// Of a life that went so, for a message.
  std::string to_string() const;
};

}  // namespace leat::tools
