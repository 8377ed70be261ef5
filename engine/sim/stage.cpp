#include "stage.h"

#include <fmt/format.h>

namespace leat::sim {

void Stage::note(std::string_view what, std::uint64_t number) {
  note_with(what, number,
            [&] { return number == 0 ? std::string(what) : fmt::format("{} {}", what, number); });
}

/// FNV-1a.
void Stage::mix(std::string_view what, std::uint64_t number) noexcept {
  const auto add = [this](std::uint64_t byte) { hash = (hash ^ byte) * 1099511628211U; };
  for (const char c : what) add(static_cast<unsigned char>(c));
  for (int shift = 0; shift < 64; shift += 8) add(number >> shift & 0xff);
  add(static_cast<std::uint64_t>(clock->steady_ns()) & 0xffff'ffff);
}

void Stage::write(const std::string& line) {
  const auto ns = static_cast<double>(clock->steady_ns() - VirtualClock::kBeginNs);
  timeline += fmt::format("{:>12.3f} ms  {}\n", ns / 1e6, line);
}

bool Stage::may_die_here(const char* where) {
  if (!alive) return true;
  const std::uint32_t per_10000 = crashes < options.crashes_max ? death_per_10000 : 0;
  if (!choices.happens(may(Faults::Kill) || may(Faults::PowerCut) ? per_10000 : 0)) return false;
  const bool cut = may(Faults::PowerCut) && (!may(Faults::Kill) || choices.pick(2) == 1);
  note_with(where, 0,
            [&] { return fmt::format("{} {}", cut ? "the power is cut" : "the process is killed", where); });
  die(cut ? Death::PowerCut : Death::Kill);
  return true;
}

void Stage::die(Death death) {
  if (hear) hear();
  alive = false;
  ++crashes;
  if (death == Death::PowerCut) lose_unsynced();
  medium->open = false;
  medium = what_is_left(death);
  ledger.died(death, *medium);
}

/// A copy that the ghost does not know, which may still write to its own.
std::shared_ptr<MemoryMedium> Stage::what_is_left(Death death) const {
  auto left = std::make_shared<MemoryMedium>();
  left->commits = std::move(medium->commits);
  left->marks = medium->marks;
  left->contexts = medium->contexts;
  left->waiting = medium->waiting;
  left->used_below = medium->used_below;
  left->epoch = medium->epoch;
  left->clean = death == Death::CleanStop && medium->clean;
  if (death == Death::PowerCut) return left;
  for (const auto& lines : medium->board) {
    left->board.push_back(std::make_shared<std::vector<BoardLine>>(*lines));
  }
  return left;
}

/// The device has written back some of what was not synced, from the front; the last of it may be torn, which
/// its checksum tells.
void Stage::lose_unsynced() {
  const auto unsynced = static_cast<std::uint32_t>(medium->commits.size() - medium->synced);
  if (unsynced == 0) return;
  const std::uint32_t kept = choices.pick(unsynced + 1);
  note_with("unsynced commits kept", kept,
            [&] { return fmt::format("  of {} unsynced commit(s) the first {} survive", unsynced, kept); });
  medium->commits.resize(medium->synced + kept);
}

}  // namespace leat::sim
