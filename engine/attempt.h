// One attempt of one task while it runs: what a CompletionToken points to, and the run permit of its lane.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capacity.h"
#include "leat/error.h"
#include "leat/executor.h"
#include "leat/explanation.h"
#include "leat/in_flight_board.h"
#include "leat/task_context.h"
#include "leat_locks/mutex.h"
#include "queued_task.h"
#include "resumption.h"
#include "timer_queue.h"

namespace leat {

class Attempt;
class Lane;

inline constexpr std::size_t kReasonBytesMax = 1024;  ///< of a pause

/// What is told to a pipeline; handled under the pipeline's ownership, one at a time (see pipeline.h).
struct PipelineMessage {
  enum class Kind : std::uint8_t {
    AttemptEnded,     ///< the executor is done: finish the task and take the attempt back
    AttemptOverdue,   ///< the run time is up: finish the task; the attempt itself is still out
    AttemptReturned,  ///< an attempt that was overdue, or never began, is back
    LimitReached,     ///< a LimitMessage
    Refer,            ///< a ReferMessage
    Adopted,          ///< a PipelineMessage of its own: the attempt is about to take over work elsewhere
    Cancel,
    Interrupt,  ///< the Runner stops: what runs becomes Ready again
    Keep,       ///< a round of the checkpoint wants the pipeline's row: a KeepMessage
    Pause,      ///< an AskMessage, as those below
    Resume,
    Signal,
    Explain,     ///< an ExplainMessage
    ChildEnded,  ///< a ChildEndMessage
  };
  Kind kind = Kind::AttemptEnded;
  PipelineMessage* next = nullptr;
  Attempt* attempt = nullptr;
};

/// A task has waited, or taken, too long in all.
struct LimitMessage : PipelineMessage {
  std::uint64_t token = 0;  ///< of the timer
};

/// A round of the checkpoint wants the pipeline's row.
struct KeepMessage : PipelineMessage {
  std::uint64_t generation = 0;
};

/// An attempt's work has a name elsewhere. Held by the thread that waits for it, and by itself until handled.
struct ReferMessage : PipelineMessage {
  std::shared_ptr<ReferMessage> self = nullptr;
  std::string_view external_ref = {};
  std::binary_semaphore handled{0};
  bool taken = false;  ///< published; false: the attempt is over
};

/// Somebody wants something of the pipeline and waits for the answer. Held by the asking thread, and by
/// itself until handled.
struct AskMessage : PipelineMessage {
  std::shared_ptr<AskMessage> self = nullptr;
  std::string_view text = {};   ///< of the asking thread: why to pause; which signal
  std::string_view value = {};  ///< the same: the signal's, JSON text
  std::binary_semaphore handled{0};
  std::optional<Error> refused = {};
};

/// A signal that nobody waits to be handled. Held by itself alone.
struct ChildEndMessage : AskMessage {
  std::string name;  ///< what `text` and `value` refer to
  std::string told;
};

/// Somebody asks why a task stands where it stands. Held as an AskMessage is.
struct ExplainMessage : PipelineMessage {
  std::shared_ptr<ExplainMessage> self = nullptr;
  std::uint32_t task = 0;
  std::binary_semaphore handled{0};
  std::optional<TaskExplanation> answer = {};  ///< empty: nothing in its pipeline holds it
};

/// Who learns how attempts go: decides, records, and releases what follows. Implemented by Completion.
class AttemptListener {
 public:
  /// Ready -> Running. @return whether the attempt may start; false: it was cancelled or the store has failed
  virtual bool begin(Attempt& attempt) noexcept = 0;
  /// The executor said how it ended.
  virtual void end(Attempt& attempt) noexcept = 0;
  /// Its run time is up. Holds a reference to the attempt, see Attempt::drop().
  virtual void overdue(Attempt& attempt) noexcept = 0;
  /// The executor came back after overdue(), or the attempt did not begin.
  virtual void returned(Attempt& attempt) noexcept = 0;
  /// Remembers the name of the attempt's work elsewhere, as CompletionToken::external_ref() says.
  virtual std::expected<void, Error> refer(Attempt& attempt, std::string_view external_ref) = 0;
  /// What a pipeline's Ready task was released with. @param pipeline  an event's origin; not null
  virtual TaskReadyEvent event_of(void* pipeline, std::uint32_t task) const noexcept = 0;
  /// The attempt is told to end, and its pipeline will say heeded() when it is back.
  virtual void told(Attempt&) noexcept {}
  virtual void heeded(Attempt&) noexcept {}
  /// For tasks that wait; null: none does.
  virtual TimerQueue* timers() noexcept { return nullptr; }
  /// Whether the attempt may give its permit to another: what it holds of the journal's ring stays with it.
  virtual bool may_defer(const Attempt&) noexcept { return true; }

 protected:
  ~AttemptListener() = default;
};

/// A slot for one running attempt, used again and again. A lane has max_concurrent of them: holding one is
/// the run permit, so that who runs what is one look at an array.
///
/// Thread-safety: the fields belong to the thread that completes the attempt, then to the owner of the
/// pipeline; word_ says who that is.
/// Invariants:
///   1. The generation rises each time the record is used: what is late for one use cannot touch the next.
///   2. The record is free again when its last reference is dropped: one is the worker's while
///      start() runs, one is the attempt's end; a time-out has two, its message's and its own while
///      it tells the executor; each Resumption has one from when it is in line until the worker that it
///      went on with has returned, so that no thread runs, by its RunningScope, a use that is over and
///      another one's by now.
///   3. Two records share no cache line: workers would slow each other down by half.
///   4. An attempt that ends on its own worker, inside start(), and is not shared, is nobody else's: it
///      needs neither.
///   5. A deferred attempt keeps its record; another one stands for its permit in the pool.
class alignas(64) Attempt final : public TimerListener, public AttemptControl {
 public:
  enum class Phase : std::uint8_t { Free, Running, Overdue, Ended };

  QueuedTask task;
  Slots slot;  ///< the admission slot; back when the end is published
  Lane* lane = nullptr;
  AttemptListener* listener = nullptr;
  BoardLine* line = nullptr;                 ///< null: the store keeps no board
  std::atomic<std::int64_t> started_ns = 0;  ///< stopwatch; read by whoever looks for old attempts
  std::uint32_t journal_credits = 0;         ///< cells of the journal's ring that this attempt may still fill
  bool timed_out = false;                    ///< [the pipeline's] its task has ended without it
  bool overdue = false;      ///< it came back after overdue() was called, whose message is certain to come
  bool came_back = false;    ///< [the pipeline's] its return was handled before that message
  bool shared = false;       ///< it has a timer, or has waited: others may end it, or carry it on
  TimerId timer;             ///< of the run-time limit, where there is one
  bool interrupted = false;  ///< [the pipeline's] it is overdue because the Runner stops
  std::atomic<std::uint32_t> shard = 0;      ///< which metrics shard the worker writes; see Lane
  std::uint32_t index = 0;                   ///< [const] in its pool
  std::atomic<std::uint32_t> next_free = 0;  ///< [the pool's]
  ExecutionResult result;
  std::string output;
  std::optional<std::string> staged_context;
  std::string adopts_ref;          ///< what the work that it takes over is called elsewhere
  bool unknown_elsewhere = false;  ///< its executor does not know that work: the task is to be rescued
  PipelineMessage end_message;
  PipelineMessage overdue_message;

  /// Begins a use. @pre `task` and `slot` are set
  void open(std::int64_t now_ns);
  /// The one token of this use.
  CompletionToken token() noexcept;
  /// Has the executor take over the work of adopts_ref; where it does not know it, ends the use.
  void adopt(TaskExecutor& executor);
  /// Ends a use that its listener did not let begin; no token was made.
  void complete_unbegun() noexcept;
  /// Ends a use whose start() threw, unless its token lives on elsewhere.
  void complete_thrown(const char* message, TaskError::Class kind) noexcept;

  std::uint32_t generation() const noexcept;
  /// A figure to look at.
  Phase phase() const noexcept;
  /// When the use began that runs now, in time or overdue, by the stopwatch; empty: none does.
  std::optional<std::int64_t> running_since_ns() const noexcept;
  /// The run time is up for use `generation`, unless it has ended.
  void on_timer(std::uint64_t generation) noexcept override;
  /// Asks the running use to end early: stop token and cancel callback.
  void request_stop(std::uint32_t generation) noexcept;

  // --- waiting without a thread: the task's side ---

  /// From here on other threads may end the use, or carry it on.
  void share() noexcept { shared = true; }
  /// Slot and permit go back. @return whether for the first time in this use
  bool begin_rest() noexcept;
  /// Both are there again, the slot with the resumption. @pre it is in no line, and was not resumed
  /// @return false: the use has them already
  bool end_rest(Resumption& resumption) noexcept;
  /// Whether slot and permit are given back. A figure to those who do not hold the token.
  bool deferred() const noexcept { return deferred_.load(std::memory_order_relaxed); }  // relaxed: its own
  bool once_deferred() const noexcept { return once_deferred_; }
  /// Puts it in line for slot and permit. @return false: it is told to end, and needs neither
  bool await_return(Resumption& resumption, Resumptions& resumptions) noexcept;
  /// A deferred use ends here and now, because the Runner stops: its task is Ready for the next.
  void interrupt() noexcept;
  /// The record is free again: forgets that it was deferred. @return whether it still was
  bool forget_rest() noexcept;

  /// Adds a reference. @pre the token is there: the end has one
  void hold() noexcept;
  /// Drops a reference. @return whether it was the last: the caller recycles the record
  bool drop() noexcept;
  /// The end, or a time-out, has been handled: drops its reference, and gives the record back to its lane
  /// where that was the last.
  void settle() noexcept;
  /// Whether settle() was called by the attempt's own worker, inside start(): the worker has the
  /// record to itself.
  bool settled_inline() const noexcept { return settled_inline_; }
  /// Whether its own worker, which is asking, has ended it and comes back from it without a detour.
  bool is_coming_back() const noexcept { return returns_at_once_ && is_own() && phase() == Phase::Ended; }

  std::stop_token stop_token() override;
  void append_output(std::string_view text) override;

 private:
  friend class CompletionToken;
  /// Whether it is nobody else's: see invariant 4.
  bool is_own() const noexcept;
  Phase end(std::uint32_t generation) noexcept;
  void complete(std::uint32_t generation) noexcept;
  /// Nobody is called any more, unless he is being called.
  void drop_callback() noexcept {
    if (has_callback_) [[unlikely]]
      drop_this_callback();
  }
  void drop_this_callback() noexcept;
  void make_stop_source() LEAT_REQUIRES(cancel_mutex_);

  // generation (32 bits), phase (8), references (24). See the .cpp for the numbered partners.
  std::atomic<std::uint64_t> word_{0};
  Mutex cancel_mutex_;  // only touched by tasks that ask for them, and by a stop
  std::stop_source stop_ LEAT_GUARDED_BY(cancel_mutex_){std::nostopstate};
  std::function<void()> on_cancel_ LEAT_GUARDED_BY(cancel_mutex_);
  bool has_callback_ = false;  // [the task's side] on_cancel_ was set in this use
  bool settled_inline_ = false;
  bool returns_at_once_ = false;  // start() does nothing any more once it has completed the token
  bool unwound_ = false;        // the token died because start() threw
  bool once_deferred_ = false;  // in this use
  std::atomic<bool> deferred_{false};
  // In line for slot and permit, or just out of it: it is there for as long as this names it.
  Resumption* returning_ LEAT_GUARDED_BY(cancel_mutex_) = nullptr;
  // The use that was asked to end; 0: none.
  std::uint64_t stopped_generation_ LEAT_GUARDED_BY(cancel_mutex_) = 0;
};

/// Gives further lines of the board; fewer than asked for where the store has no room.
using ClaimLines = std::function<std::span<BoardLine>(std::size_t)>;

/// The run permits of one lane: a stack of free attempt records.
///
/// Thread-safety: any number of threads.  Progress: lock-free.
class AttemptPool {
 public:
  AttemptPool(Lane& lane, AttemptListener& listener, std::uint32_t count);

  /// @return a free record, or null
  Attempt* try_take() noexcept;
  void give_back(Attempt& attempt) noexcept;
  bool any_free() const noexcept;
  std::uint32_t active() const noexcept;

  // --- deferred attempts: their records are aside, others stand for their permits ---

  /// @return a record that is not free, for give_back(); null: too many are deferred
  Attempt* try_substitute() noexcept;
  /// A record that stood for a permit which its owner has taken again, or that of a deferred attempt which
  /// ended.
  void put_aside(Attempt& attempt) noexcept;
  std::uint32_t deferred() const noexcept {
    return deferred_.load(std::memory_order_relaxed);  // relaxed: a figure
  }
  /// Where lines of the board come from for further records. @pre as Lane::set_board()
  void set_board(std::span<BoardLine> lines, ClaimLines claim) noexcept;

  /// Calls with every record, those aside included.
  template <class F>
  void for_each(const F& call) const {
    for (std::uint32_t i = 0; i < count_; ++i) call(attempts_[i]);
    // (13) acquire: pairs with (14) in grow().
    const std::uint32_t chunks = chunks_made_.load(std::memory_order_acquire);
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      for (std::uint32_t i = 0; i < kFirstChunk << chunk; ++i) call(chunks_[chunk][i]);
    }
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  // Further records are made in chunks, each twice as large as the one before.
  static constexpr std::uint32_t kFirstChunk = 16;
  static constexpr std::uint32_t kChunks = 12;

  Attempt& at(std::uint32_t index) const noexcept;
  void prepare(Attempt& attempt, std::uint32_t index) const noexcept;
  void grow() LEAT_REQUIRES(aside_mutex_);

  Lane& lane_;
  AttemptListener& listener_;
  const std::uint32_t count_;
  std::unique_ptr<Attempt[]> attempts_;
  std::unique_ptr<Attempt[]> chunks_[kChunks];
  std::atomic<std::uint32_t> chunks_made_{0};
  std::atomic<std::uint32_t> deferred_{0};
  Mutex aside_mutex_;  // touched by attempts that are deferred, and when they come back
  std::vector<Attempt*> aside_ LEAT_GUARDED_BY(aside_mutex_);  // unused
  ClaimLines claim_lines_;
  // Tag (32 bits, rises with each change) and index of the first.
  alignas(64) std::atomic<std::uint64_t> top_;
  std::atomic<std::uint32_t> active_{0};
};

/// Behind running_attempt(), which is asked several times a task.
extern constinit thread_local Attempt* current_attempt;

/// The attempt that the calling thread is running now; null outside of tasks.
inline Attempt* running_attempt() noexcept {
  return current_attempt;
}
/// Whether the thread is inside a callback that tells an attempt to end: it may own that attempt's pipeline.
bool telling_to_end() noexcept;

inline bool Attempt::is_own() const noexcept {
  return current_attempt == this && !shared;
}

/// Marks the calling thread as running an attempt, for the scope's life.
class RunningScope {
 public:
  explicit RunningScope(Attempt* attempt) noexcept : outer_(std::exchange(current_attempt, attempt)) {}
  ~RunningScope() { current_attempt = outer_; }
  RunningScope(const RunningScope&) = delete;
  RunningScope& operator=(const RunningScope&) = delete;

 private:
  Attempt* outer_;
};

}  // namespace leat
