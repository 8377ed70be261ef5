// Pipelines that wait in the store alone, because memory is bounded: who goes there, and who comes back when.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/clock.h"
#include "leat/journal.h"
#include "leat/state_store.h"
#include "leat/waiting.h"
#include "leat_locks/mutex.h"
#include "pipelines_out.h"
#include "registered_workflow.h"
#include "timer_queue.h"

namespace leat {

class Pipeline;

/// What bounds memory, and what the rows are in.
struct WaitingOptions {
  StateStore* store = nullptr;  ///< null: nothing is remembered, nothing goes anywhere
  std::uint64_t budget = 0;     ///< bytes of pipelines that live; 0: no limit
  std::function<void(std::string_view)> warn = {};
};

/// What the lines need from the engine. Implemented by the Scheduler.
class WaitingHost {
 public:
  /// Whether something may begin.
  virtual bool accepting() const noexcept = 0;
  /// Makes a pipeline that is nowhere but in its row.
  virtual Pipeline& remake(const std::shared_ptr<const RegisteredWorkflow>& workflow,
                           const PipelineCreated& created, std::int64_t created_ns) = 0;
  /// The pipeline lives from here on. Called under the lines' mutex.
  virtual void lives(Pipeline& pipeline) noexcept = 0;

 protected:
  ~WaitingHost() = default;
};

/// A newcomer goes to the store where memory is used up, or where its line waits there already; a line comes
/// back in the order of its places, some pipelines at a time, as soon as few of those that came are still to
/// begin. A pipeline goes and comes by one record each, which changes its row in the same write, so it is
/// never in two places and never in none.
///
/// Thread-safety: any number of threads.
/// Invariants:
///   1. Places are given out and published under the mutex: a line's rows are there in the order of their
///      places.
///   2. begin <= committed <= end: what is read lies below `committed`, so that it is in the store and has
///      reached its level.
///   3. A pipeline is published as taken in before anything else of it is, and released once that is
///      committed: a task that kills its process is known to live.
class WaitingLines final : public TimerListener {
 public:
  using Registered = std::shared_ptr<const RegisteredWorkflow>;

  WaitingLines(Clock& clock, TimerQueue& timers, Journal* journal, WaitingHost& host,
               const WaitingOptions& options);

  /// What the store holds. Before start.
  std::expected<void, StoreError> remember();
  /// Whether anything is bounded here. Stays as it is from the start on.
  bool in_use() const noexcept { return in_use_; }
  /// A workflow is registered: what waits of it comes back from here on.
  void open(const Registered& workflow);

  /// Sets a newcomer aside, or does not.
  ///
  /// @return  false: it is to begin in memory. @pre a credit is reserved, which is used up if not; a handle
  ///          is there
  bool set_aside(Pipeline& pipeline, const WaitingLine& line, const PipelineTraits& traits);
  /// The record that set it aside has reached its level.
  void is_aside(const Pipeline& pipeline) noexcept;
  /// Has a pipeline live that its handle asks something of, out of turn. Nothing, where it lives.
  ///
  /// @return  false: the journal takes nothing more
  bool bring_in(Pipeline& pipeline);
  /// Takes some out of the store of a workflow that is not registered, in turn. From here on the journal knows
  /// them as pipelines that live.
  ///
  /// @return  their rows; empty: there are none, or none that nobody else is just reading
  /// @pre     a credit is reserved, which is used up where there are some
  std::expected<std::vector<std::string>, StoreError> take_out(std::uint32_t workflow_no);
  /// One that was taken in has begun, or ended without.
  void left_front(const Pipeline& pipeline) noexcept;
  /// How many of its line stand before it in the store; empty: it lives.
  std::optional<std::uint64_t> place_of(const Pipeline& pipeline) const;

  void entered(std::size_t bytes) noexcept;
  void left(std::size_t bytes) noexcept;

  /// Pipelines in the store alone, of registered workflows.
  std::uint64_t waiting() const noexcept;
  std::uint64_t resident_bytes() const noexcept;
  /// By workflow_no, of those that are not registered.
  std::map<std::uint32_t, std::uint64_t> unopened() const;
  const std::shared_ptr<PipelinesOut>& out() const noexcept { return out_; }
  /// Nothing goes or comes any more.
  void close() noexcept;

  void on_timer(std::uint64_t token) noexcept override;

 private:
  struct Line : WaitingBounds {
    Registered workflow;                // null: not registered yet
    std::set<std::uint64_t> unwritten;  // places whose records have not reached their levels
    std::set<std::uint64_t> taken;      // out of turn by this process: the rows may be there still
    std::uint64_t front_bytes = 0;      // of pipelines that came and have not begun
    bool is_due = false;                // rows are to be read, or being read

    bool waits() const noexcept { return begin < end; }
    std::uint64_t committed() const noexcept { return unwritten.empty() ? end : *unwritten.begin(); }
  };
  struct Row {
    std::uint64_t place;
    std::string bytes;
  };
  class TakingIn;

  Line& line_of(const WaitingLine& key) LEAT_REQUIRES(mutex_);
  std::uint64_t front_bytes_max() const noexcept LEAT_REQUIRES(mutex_);
  void look(Line& line) noexcept LEAT_REQUIRES(mutex_);
  void wake(std::chrono::nanoseconds delay) noexcept LEAT_REQUIRES(mutex_);
  bool fetch(Line& line);
  std::expected<std::vector<Row>, StoreError> read(const Line& line, std::uint64_t& next) const;
  std::string missing(const Line& line, std::size_t rows, std::uint64_t next) const LEAT_REQUIRES(mutex_);
  std::vector<Pipeline*> take_in_turn(Line& line, std::span<const Row> rows, std::uint64_t next)
      LEAT_REQUIRES(mutex_);
  void publish_taken(Line& line, std::string_view packed, std::size_t count, std::uint64_t next,
                     CommitListener* listener) LEAT_REQUIRES(mutex_);

  Clock& clock_;
  TimerQueue& timers_;
  Journal* const journal_;
  StateStore* const store_;
  WaitingHost& host_;
  const std::uint64_t budget_;
  const std::function<void(std::string_view)> warn_;
  const std::shared_ptr<PipelinesOut> out_ = std::make_shared<PipelinesOut>();
  bool in_use_;
  std::atomic<std::uint64_t> waiting_{0};
  std::atomic<std::uint64_t> resident_bytes_{0};

  mutable Mutex mutex_;  // before the Scheduler's
  std::map<WaitingLine, Line> lines_ LEAT_GUARDED_BY(mutex_);
  std::size_t lines_waiting_ LEAT_GUARDED_BY(mutex_) = 0;  // with something to take in
  std::deque<Line*> due_ LEAT_GUARDED_BY(mutex_);
  std::deque<Line*> unreadable_ LEAT_GUARDED_BY(mutex_);  // due again later
  // Where records of pipelines, by number, are under way, and who stands in which line's front.
  std::map<std::uint64_t, std::pair<Line*, std::uint64_t>> unwritten_ LEAT_GUARDED_BY(mutex_);
  std::map<std::uint64_t, Line*> front_ LEAT_GUARDED_BY(mutex_);
  bool is_awake_ LEAT_GUARDED_BY(mutex_) = false;  // a timer is set
  bool closed_ LEAT_GUARDED_BY(mutex_) = false;
};

}  // namespace leat
