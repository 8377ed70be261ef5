// The write-ahead journal: many producers publish transition groups into a bounded ring, one
// committer packs what is there into one value per group commit. Natural batching: what arrives while
// a sync runs is the next commit.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "leat/context_image.h"
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
  /// @param reached   whether the level asked for was reached; false: the outcome is unknown, the store
  ///                  has failed
  virtual void on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept = 0;

 protected:
  ~CommitListener() = default;
};

/// Whoever has no thread of its own for commit_some(): who waits for a commit helps.
class JournalHelper {
 public:
  /// A thread waits for commits: makes one, or sleeps until somebody else may have made one.
  /// @return false: there will be none
  virtual bool help() noexcept = 0;
  /// Called where a committer that sleeps in wait_for_work() would be woken, and when credits come back while
  /// somebody waits for them.
  virtual void wake() noexcept = 0;

 protected:
  ~JournalHelper() = default;
};

/// Told of a group that brings a caller's writes.
class WritesListener : public CommitListener {
 public:
  /// They stay as they are until on_commit().
  virtual const CallerWrites& writes() const noexcept = 0;

 protected:
  ~WritesListener() = default;
};

/// The ring and its committer step. Owns no thread: the shell or the simulator lends one to commit_some().
///
/// Thread-safety: reserve, release, publish, flush, stop, the watermarks: any number of threads.
///   commit_some, wait_for_work, try_doze: one thread at a time.
/// Invariants:
///   1. Credits given out and not yet returned + free credits = cells. A ticket is taken only with a
///      credit, so the cell of a new ticket is free: publishing never waits.
///   2. Cells are committed and freed in ticket order; sequence numbers rise in ticket order.
///   3. synced() <= written(); neither ever falls; after failure() neither rises.
class Journal {
 public:
  struct Options {
    std::size_t cells = std::size_t{1} << 16;             ///< ring size, a power of two
    std::size_t commit_bytes_max = std::size_t{4} << 20;  ///< a commit is closed when it passes this
    /// No thread is lent to commit_some(): reserve() and flush() call it instead of waiting.
    bool waits_commit = false;
    /// A steady clock in ns, read before and after each sync, for Counters::sync_ns; empty: not measured.
    std::function<std::int64_t()> steady_ns = {};
    /// Unix time in ns, read after each sync, for the journal to tell when that was; empty: it does not.
    std::function<std::int64_t()> unix_ns = {};
    /// reserve() and flush() call its help() instead of waiting; null: none. Outlives the journal.
    JournalHelper* helper = nullptr;
    /// Called with each commit that has reached the store, after those who waited for it were told, by the
    /// thread that made it; must not wait for others. Empty: nobody is.
    std::function<void(std::uint64_t first_sequence, std::span<const std::byte> commit)> tap = {};
    /// Called at the end of each commit, by the thread that made it; must not block. Empty: nobody is.
    ///
    /// @param groups  of all that were published, the first so many are in the store now
    std::function<void(std::uint64_t groups)> committed = {};
  };

  Journal(StateStore& store, Options options);
  ~Journal();

  /// Takes `count` credits, one for each group that will be published. A publish with a credit never waits.
  [[nodiscard]] bool try_reserve(std::size_t count) noexcept;
  /// The same, waiting for the committer to free cells.
  ///
  /// @return  false where it would have to wait after stop(), or, with waits_commit, for credits that
  ///          nobody can free
  [[nodiscard]] bool reserve(std::size_t count) noexcept;
  /// Returns credits that were not used.
  void release(std::size_t count) noexcept;

  /// Whether half of all credits are free at this moment.
  bool half_free() const noexcept;

  /// Publishes one group; uses up one credit.
  ///
  /// @param listener  told when `level` is reached (Memory counts as Process); null: nobody waits, nothing
  ///                  is synced
  /// @param committed  one is added once the group is written, or will never be; by the committer alone;
  ///                   null: nobody counts. Outlives the journal's last commit
  /// Progress: lock-free; no allocation.
  /// Ordering: groups published one after the other (one thread, or through happens-before) are committed
  ///           in that order; what the caller did before is visible to on_commit().
  void publish(TransitionGroup&& group, Durability level, CommitListener* listener, std::uint64_t token,
               std::atomic<std::uint64_t>* committed = nullptr) noexcept;

  /// The same, in a commit of its own, together with the listener's writes: both or neither.
  ///
  /// @pre  takes() them; `level` is above Memory
  void publish_with(TransitionGroup&& group, Durability level, WritesListener& listener,
                    std::uint64_t token) noexcept;
  /// @return  Refused where the store cannot write them with a group, and why
  std::expected<void, StoreError> takes(const CallerWrites& writes) const;

  /// Reads a context that lies apart.
  ///
  /// @return  its text; Damaged: it is missing, or another one than the mark stands for
  /// Thread-safety: any number of threads, beside the committer.
  std::expected<std::string, StoreError> read_context(const ContextPlace& place, ContextMark mark) const;

  /// Waits until everything published before has reached `level`. Takes its own credit.
  ///
  /// @return  the store's failure, or Closed after stop()
  std::expected<void, StoreError> flush(Durability level);

  /// Packs the published prefix into one commit, writes it, syncs it where somebody waits for Disk, tells
  /// the listeners and frees the cells.
  ///
  /// @return  the number of groups committed; 0: there was nothing to do
  std::size_t commit_some() noexcept;

  /// Blocks the committer's thread until something is published or stop() is called.
  ///
  /// @return  false: stopped, and everything published so far is committed
  bool wait_for_work() noexcept;
  /// @return  whether nothing is published that commit_some() could take; then the next publish() calls
  ///          JournalHelper::wake()
  bool try_doze() noexcept;
  /// Ends wait_for_work() and waiting in reserve(). What is published afterwards waits for commit_some(); a
  /// flush is either ahead of the stop, and committed before wait_for_work() says that it is over, or
  /// refused.
  void stop() noexcept;

  /// How many groups were published, ever: the caller's own and all that it knows of are among them.
  std::uint64_t published() const noexcept;

  /// Every transition below is in the operating system's hands / on the device.
  std::uint64_t written() const noexcept;
  std::uint64_t synced() const noexcept;

  /// The first error of the store; null while it is healthy. From then on nothing is written or
  /// acknowledged, while credits circulate and listeners hear `reached == false`, so that nobody hangs.
  const StoreError* failure() const noexcept;

  /// Whether something new may begin: the store is Healthy or Degraded. What has begun may end in any case.
  ///
  /// Progress: one load while it is so; else the store is asked again, so that it may pass.
  bool admits() noexcept;
  /// How the store is.
  StoreCondition condition() noexcept;

  struct Counters {
    std::uint64_t groups = 0;
    std::uint64_t transitions = 0;
    std::uint64_t ends = 0;  ///< groups published with a count of their own: ends of attempts
    std::uint64_t commits = 0;
    std::uint64_t syncs = 0;
    std::uint64_t bytes = 0;    ///< of packed commits, with the contexts that lie apart from them
    std::uint64_t sync_ns = 0;  ///< time spent in syncs
    std::uint64_t stalls = 0;   ///< commit_some() found a ticket taken and its group not yet published
  };
  /// Exact only while no commit runs.
  Counters counters() const noexcept;

 private:
  bool help() noexcept;

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace leat
