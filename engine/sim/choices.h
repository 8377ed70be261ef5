// Every choice of a simulated run, as a list of numbers that can be drawn, kept, cut down and played again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace leat::sim {

/// 0 is always the harmless choice: the first in turn, nothing goes wrong. The list is cut into steps, so
/// that one step can be changed, or taken out, and the others keep their choices: that is how a schedule is
/// minimised.
///
/// Thread-safety: one thread.
class Choices {
 public:
  static constexpr std::uint32_t kStep = 1'000'000'009;  ///< ends a step, in a schedule

  /// @param schedule  played instead of drawn numbers; behind the end of a step every choice is 0
  Choices(std::uint64_t seed, std::optional<std::vector<std::uint32_t>> schedule)
      : state_(seed), schedule_(std::move(schedule)) {}

  /// What follows belongs to the next step.
  void next_step() {
    made_.push_back(kStep);
    if (!schedule_) return;
    while (at_ < schedule_->size() && (*schedule_)[at_] != kStep) ++at_;
    if (at_ < schedule_->size()) ++at_;
  }
  /// @return 0 to count - 1
  std::uint32_t pick(std::uint32_t count) {
    const std::uint32_t drawn = next(count <= 1 ? 0 : static_cast<std::uint32_t>(draw() % count));
    return keep(drawn < count ? drawn : 0);
  }
  /// True with a probability of `per_10000`; with 0 never, whatever the schedule says.
  bool happens(std::uint32_t per_10000) {
    const std::uint32_t drawn = next(draw() % 10'000 < per_10000 ? kStrike : 0);
    return keep(drawn == kStrike && per_10000 > 0 ? kStrike : 0) != 0;
  }

  const std::vector<std::uint32_t>& made() const noexcept { return made_; }

 private:
  // A number of its own: where a cut schedule no longer fits, nothing goes wrong by accident.
  static constexpr std::uint32_t kStrike = 1'000'000'007;

  std::uint32_t next(std::uint32_t drawn) noexcept {
    if (!schedule_) return drawn;
    return at_ < schedule_->size() && (*schedule_)[at_] != kStep ? (*schedule_)[at_++] : 0;
  }
  std::uint32_t keep(std::uint32_t made) {
    made_.push_back(made);
    return made;
  }

  // SplitMix64, as in rng.cpp.
  std::uint64_t draw() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
  std::optional<std::vector<std::uint32_t>> schedule_;
  std::size_t at_ = 0;
  std::vector<std::uint32_t> made_;
};

}  // namespace leat::sim
