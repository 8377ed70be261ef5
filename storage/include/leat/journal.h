// The write-ahead journal: many producers publish transition groups into a bounded ring, one committer packs what
// is there into one value per group commit. Natural batching: what arrives while a sync runs is the next commit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>

#include "leat/durability.h"
#include "leat/state_store.h"
#include "leat/transition_group.h"

namespace leat {

/// Told by the committer what became of a published group.
class CommitListener {
 public:
  /// Runs on the thread that calls Journal::commit_some(), in the order of publishing within one level.
  /// Must not block and must not publish; it moves identifiers to queues and wakes who waits.
  ///
  /// @param token     the value given to publish()
  /// @param sequence  the number of the group's first transition (for a group without one: the next number)
  /// @param reached   whether the level asked for was reached; false: the outcome is unknown, the store has failed
  virtual void on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept = 0;

 protected:
  ~CommitListener() = default;
};

/// The ring and its committer step. Owns no thread: the shell (or the simulator) lends one to commit_some().
///
/// Thread-safety: reserve, publish, flush, the watermarks: any number of threads. commit_some, wait_for_work: one.
class Journal {
 public:
  struct Options {
    std::size_t cells = std::size_t{1} << 16;               ///< ring size, a power of two
    std::size_t commit_bytes_max = std::size_t{4} << 20;    ///< a commit is closed when it passes this
  };

  Journal(StateStore& store, Options options);
  ~Journal();

  /// Takes `count` credits, one for each group that will be published. A publish with a credit never waits.
  bool try_reserve(std::size_t count) noexcept;
  /// The same, waiting for the committer to free cells; false once the journal is stopped.
  bool reserve(std::size_t count) noexcept;
  /// Returns credits that were not used.
  void release(std::size_t count) noexcept;

  /// Publishes one group; uses up one credit.
  ///
  /// @param listener  told when `level` (Process or Disk) is reached; null: nobody waits, and nothing is synced for it
  /// Ordering: groups published by one thread, or one after the other through happens-before, are committed in that order.
  void publish(TransitionGroup&& group, Durability level, CommitListener* listener, std::uint64_t token) noexcept;

  /// Waits until everything published before has reached `level`. Takes its own credit.
  std::expected<void, StoreError> flush(Durability level);

  /// Packs the published prefix into one commit, writes it, syncs it where somebody waits for Disk, tells the
  /// listeners and frees the cells. @return the number of groups committed; 0: there was nothing to do.
  std::size_t commit_some() noexcept;

  /// Blocks the committer's thread until something is published or stop() is called; @return false after stop().
  bool wait_for_work() noexcept;
  /// Ends wait_for_work() and reserve().
  void stop() noexcept;

  /// Every transition below is in the operating system's hands / on the device.
  std::uint64_t written() const noexcept;
  std::uint64_t synced() const noexcept;

  /// The first error of the store; empty while it is healthy.
  const StoreError* failure() const noexcept;

  struct Counters {
    std::uint64_t groups, transitions, commits, syncs, bytes;
  };
  Counters counters() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace leat
