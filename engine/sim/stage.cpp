#include "stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

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
  std::vector<MemoryMedium::Commit> behind;
  if (death == Death::PowerCut) behind = lose_unsynced();
  medium->open = false;
  medium = what_is_left(death);
  ledger.died(death, *medium);
  std::ranges::move(behind, std::back_inserter(medium->commits));
  superblock.clean = medium->clean;
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

/// The device has written back some of what was not synced, from the front; the next of it may be torn, and
/// what follows that may be there again. The floor may be that of the opening.
///
/// @return  from the torn one on
std::vector<MemoryMedium::Commit> Stage::lose_unsynced() {
  ++boot;
  std::vector<MemoryMedium::Commit> behind;
  std::vector<MemoryMedium::Commit>& commits = medium->commits;
  const auto unsynced = static_cast<std::uint32_t>(commits.size() - medium->synced);
  if (unsynced == 0) return behind;
  if (choices.pick(2) == 1)
    floor = {.synced = superblock.journal_end, .synced_hash = superblock.journal_hash};
  const std::uint32_t kept = choices.pick(unsynced + 1);
  note_with("unsynced commits kept", kept,
            [&] { return fmt::format("  of {} unsynced commit(s) the first {} survive", unsynced, kept); });
  const auto next = commits.begin() + static_cast<std::ptrdiff_t>(medium->synced + kept);
  if (next != commits.end() && choices.pick(2) == 1) {
    std::move(next, choices.pick(2) == 1 ? commits.end() : next + 1, std::back_inserter(behind));
    tear(behind.front().bytes);
  }
  commits.erase(next, commits.end());
  return behind;
}

/// Cut off, or with nothing in some of it; always so that its checksum tells.
void Stage::tear(std::vector<std::byte>& bytes) {
  const std::uint32_t place = choices.pick(static_cast<std::uint32_t>(bytes.size()));
  const bool is_cut = choices.pick(2) == 0;
  note_with("torn", place, [&] { return fmt::format("  the next one is torn from byte {} on", place); });
  if (is_cut) return bytes.resize(place);
  std::fill(bytes.begin() + place, bytes.end() - 1, std::byte{0});
  bytes.back() = ~bytes.back();
}

}  // namespace leat::sim
