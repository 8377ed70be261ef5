// What the parts of one simulated run share: choices, time, the ledger, the disk, and whether the process
// lives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "choices.h"
#include "leat/clock.h"
#include "leat/sim.h"
#include "leat/state_store.h"
#include "ledger.h"
#include "store_directory.h"

namespace leat::sim {

/// Stands still until somebody moves it. The wall clock may jump.
class VirtualClock final : public Clock {
 public:
  static constexpr std::int64_t kBeginNs = 1'000'000'000;
  static constexpr std::int64_t kUnixNs = 1'700'000'000'000'000'000;  // when the steady clock shows 0

  std::int64_t steady_ns() noexcept override { return now_ns_; }
  std::int64_t unix_ns() noexcept override { return kUnixNs + now_ns_ + jumped_ns_; }
  /// The latest time that the wall clock has shown.
  std::int64_t latest_unix_ns() const noexcept { return latest_ns_; }
  void advance(std::int64_t ns) noexcept {
    now_ns_ += ns;
    latest_ns_ = std::max(latest_ns_, unix_ns());
  }
  void jump(std::int64_t ns) noexcept {
    jumped_ns_ += ns;
    latest_ns_ = std::max(latest_ns_, unix_ns());
  }

 private:
  std::int64_t now_ns_ = kBeginNs;
  std::int64_t jumped_ns_ = 0;
  std::int64_t latest_ns_ = kUnixNs + kBeginNs;
};

/// What a store says whose call goes wrong.
inline constexpr const char* kRefusal = "the simulated store refuses";
/// Whether an error says that: nothing is lost, and somebody tries again.
inline bool is_refusal(const std::string& message) noexcept {
  return message.find(kRefusal) != std::string::npos;
}

/// Thread-safety: one thread.
/// Invariant: after die() nothing that happens is seen by anybody: the process unwinds as a ghost.
class Stage {
 public:
  Stage(const Options& the_options, std::uint64_t seed, std::optional<std::vector<std::uint32_t>> schedule,
        std::vector<TaskTerms> tasks, bool keeps_timeline)
      : options(the_options),
        choices(seed, std::move(schedule)),
        ledger(std::move(tasks)),
        keeps_timeline_(keeps_timeline) {}

  /// Something has happened: into the hash and, where one is kept, the timeline.
  void note(std::string_view what, std::uint64_t number = 0);
  /// With words that cost something to make: `words()` gives them.
  template <class Words>
  void note_with(std::string_view what, std::uint64_t number, const Words& words) {
    mix(what, number);
    if (keeps_timeline_) write(words());
  }

  bool may(Faults fault) const noexcept { return contains(options.faults, fault); }
  /// Whether a fault that is allowed comes now.
  bool strikes(Faults fault, std::uint32_t per_10000) { return choices.happens(may(fault) ? per_10000 : 0); }
  bool uses(Uses one) const noexcept { return contains(options.uses, one); }

  /// Whether something that ends or replaces the process may come now: each run has a bounded number of them.
  bool may_crash() const noexcept { return crashes < options.crashes_max; }

  /// The process ends, here and now.
  void die(Death death);
  /// Ends the process here where fate wants it. @return whether it is dead now
  bool may_die_here(const char* where);

  const Options& options;
  Choices choices;
  const std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
  Ledger ledger;
  std::shared_ptr<MemoryMedium> medium = std::make_shared<MemoryMedium>();  ///< another after each death
  Superblock superblock = {.created = true, .clean = true};  ///< of the store, as the one on disk keeps it
  Floor floor;                                               ///< likewise
  std::uint64_t boot = 1;                                    ///< of the machine
  bool alive = false;
  std::uint32_t crashes = 0;
  std::uint32_t death_per_10000 = 0;   ///< at each place where the process may die
  std::uint32_t fault_per_10000 = 0;   ///< at each place where something else may go wrong
  std::uint64_t checkpoint_bytes = 0;  ///< of the journal, for a round of the checkpoint
  std::size_t checkpoint_rows = 0;     ///< of pipelines, in one step of a round
  std::size_t commit_bytes = 0;        ///< with which a commit is closed, and with it a slice of a round
  std::uint64_t memory_budget = 0;     ///< 0: none
  std::size_t backlog_min = 0;         ///< of pipelines that have not begun, see Backlog
  bool looks = false;                  ///< the simulator itself reads the store: nothing goes wrong
  std::function<void()> meanwhile;     ///< others go on while a sync is in flight
  std::function<void()> hear;          ///< notes what was told up to now: the last moment before a death
  std::uint64_t hash = 14695981039346656037U;
  std::string timeline;

 private:
  void mix(std::string_view what, std::uint64_t number) noexcept;
  void write(const std::string& line);
  std::vector<MemoryMedium::Commit> lose_unsynced();
  void tear(std::vector<std::byte>& bytes);
  std::shared_ptr<MemoryMedium> what_is_left(Death death) const;

  const bool keeps_timeline_;
};

}  // namespace leat::sim
