// The schedules of a Runner: which times are due, what is left out, and that each is dealt with once.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cron_times.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "leat/journal.h"
#include "leat/pipeline_handle.h"
#include "leat/schedule.h"
#include "leat/store_image.h"
#include "leat_locks/mutex.h"
#include "registered_workflow.h"
#include "time_zone.h"
#include "timer_queue.h"

namespace leat {

/// What schedules need from the engine. Implemented by the Scheduler.
class ScheduleHost {
 public:
  /// The version that a schedule names, or the one of that name that was registered last; null: there is
  /// none.
  virtual std::shared_ptr<const RegisteredWorkflow> find_workflow(
      const ScheduleDefinition& definition) const = 0;
  /// Begins a pipeline; two journal credits are reserved, and used up. @return nothing: the Runner stops
  virtual std::optional<PipelineHandle> fire(std::shared_ptr<const RegisteredWorkflow> workflow,
                                             const ScheduleDefinition& definition,
                                             const ScheduleFiring& firing, std::string context) = 0;
  /// Something new may begin now.
  virtual bool admits() = 0;

 protected:
  ~ScheduleHost() = default;
};

/// Thread-safety: any number of threads, but remember() and hold(): before any other.
/// Invariants:
///   1. All of a schedule's times up to its cursor are dealt with. The cursor moves in the group that submits
///      the pipeline, so that a crash loses neither and doubles neither; it never goes back, whatever the
///      clock does.
///   2. Changes of a schedule are published in the order of their versions: under mutex_, as its rows are.
class ScheduleTable final : public TimerListener {
 public:
  static constexpr std::size_t kNameBytesMax = 128;
  static constexpr std::uint32_t kCatchUpMax = 1000;

  ScheduleTable(Clock& clock, TimerQueue& timers, Journal* journal, ScheduleHost& host)
      : clock_(clock), timers_(timers), journal_(journal), host_(host) {}

  /// What the store remembers, and which unfinished pipelines are whose.
  void remember(const StoreImage& image);

  /// Makes a schedule, or redefines it. A journal credit is reserved, and used up.
  ///
  /// @return  InvalidArgument or NotFound (the time zone): nothing has changed
  std::expected<void, Error> set(std::string_view name, const ScheduleDefinition& definition);
  /// Pauses or goes on: times meanwhile are left out. A journal credit is reserved, and used up.
  std::expected<void, Error> pause(std::string_view name, bool paused);
  /// A journal credit is reserved, and used up.
  std::expected<void, Error> remove(std::string_view name);
  std::vector<ScheduleInfo> list();

  /// From here on schedules fire.
  void start();
  /// A workflow was registered: some schedule may have waited for it.
  void look_again();

  /// A pipeline of a schedule begins; before it is published.
  void note(std::uint64_t pipeline_no, const ScheduleFiring& firing);
  /// A pipeline of a schedule is carried on.
  void join(PipelineHandle handle, std::uint64_t pipeline_no, std::string_view schedule,
            std::int64_t time_ns);
  /// It has ended. Takes no lock that is held while something is published.
  void ended(std::uint64_t pipeline_no) noexcept;
  /// Whose the pipeline is, and for which time.
  std::pair<std::string, std::int64_t> firing_of(std::uint64_t pipeline_no) const;

  std::vector<std::string> names() const;
  /// Hands over a schedule's row, while nothing of it can change. @return false: it is gone
  bool keep(std::string_view name, std::uint64_t generation,
            const std::function<void(TransitionGroup&&)>& publish);

  void on_timer(std::uint64_t token) noexcept override;

 private:
  struct Entry {
    std::string name;
    ScheduleDefinition definition;
    std::string json;  // the definition's
    std::optional<CronTimes> times;
    std::optional<TimeZone> zone;  // nothing, as times: this machine does not know it, so it never fires
    std::uint64_t version = 0;
    bool paused = false;
    bool bound = true;
    std::int64_t cursor_ns = 0;
    std::int64_t last_ns = 0;
    std::int64_t queued_ns = 0;
    std::int64_t missed_to_ns = 0;        // times up to here are caught up, whenever their turns come
    bool waits = false;                   // one of those waits for the pipeline before it
    std::optional<std::int64_t> next_ns;  // where due_ has it; nothing: it is not there
    std::map<std::uint64_t, std::optional<PipelineHandle>> live;  // nothing: nobody carries it on yet
  };
  /// Nothing can be published now: the same again later.
  enum class Dealt : std::uint8_t { Done, Later };

  std::optional<std::int64_t> next_after(const Entry& entry, std::int64_t ns) const;
  std::int64_t caught_up_from(const Entry& entry, std::int64_t now_ns) const;
  Entry* find(std::string_view name) LEAT_REQUIRES(mutex_);
  void drain_ended() LEAT_REQUIRES(mutex_);
  void look() LEAT_REQUIRES(mutex_);
  Dealt deal_with(Entry& entry, std::int64_t now_ns) LEAT_REQUIRES(mutex_);
  Dealt catch_up(Entry& entry, std::int64_t time_ns, std::int64_t now_ns) LEAT_REQUIRES(mutex_);
  Dealt take_turn(Entry& entry, std::int64_t time_ns, std::int64_t cursor_ns) LEAT_REQUIRES(mutex_);
  Dealt cancel_live(Entry& entry) LEAT_REQUIRES(mutex_);
  Dealt fire(Entry& entry, std::int64_t time_ns, std::int64_t cursor_ns) LEAT_REQUIRES(mutex_);
  Dealt move(Entry& entry, std::int64_t cursor_ns) LEAT_REQUIRES(mutex_);
  void publish(Entry& entry, bool with_definition) LEAT_REQUIRES(mutex_);
  void put(Entry& entry) LEAT_REQUIRES(mutex_);
  void arm(std::int64_t delay_max_ns) LEAT_REQUIRES(mutex_);

  Clock& clock_;
  TimerQueue& timers_;
  Journal* const journal_;  // null: nothing is remembered
  ScheduleHost& host_;

  mutable Mutex mutex_;
  bool started_ LEAT_GUARDED_BY(mutex_) = false;
  std::map<std::string, Entry, std::less<>> entries_ LEAT_GUARDED_BY(mutex_);
  std::set<std::pair<std::int64_t, std::string_view>> due_
      LEAT_GUARDED_BY(mutex_);  // by time; names of entries
  TimerId timer_ LEAT_GUARDED_BY(mutex_);

  mutable Mutex pipelines_mutex_;  // taken after mutex_
  std::unordered_map<std::uint64_t, std::pair<std::string, std::int64_t>> firings_
      LEAT_GUARDED_BY(pipelines_mutex_);
  std::vector<std::pair<std::uint64_t, std::string>> ended_ LEAT_GUARDED_BY(pipelines_mutex_);
};

}  // namespace leat
