#include "schedule_table.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "leat/checkpoint.h"
#include "leat/context.h"
#include "pipeline.h"

namespace leat {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// The wall clock is looked at so often while a schedule waits: so late at most is a jump of it, or a sleep of
// the machine, during which the steady clock stands, found out.
constexpr std::int64_t kLook = 60 * kSecond;
// Until there may be credits again, or a store that takes something.
constexpr std::int64_t kSoon = 5'000'000;
constexpr std::int64_t kStoreLook = kSecond;

std::int64_t seconds_of(std::int64_t ns) {
  return ns / kSecond - (ns % kSecond < 0 ? 1 : 0);
}

/// 2026-11-23T08:00:00Z
std::string utc_text(std::int64_t ns) {
  using namespace std::chrono;
  const sys_seconds time{seconds(seconds_of(ns))};
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

std::unexpected<Error> unknown(std::string_view name) {
  return std::unexpected(Error{ErrorCode::NotFound, "there is no schedule '" + std::string(name) + "'"});
}

}  // namespace

void ScheduleTable::remember(const StoreImage& image) {
  const MutexLock lock(mutex_);
  for (const auto& [name, schedule] : image.schedules()) {
    Entry& entry = entries_[name];
    entry.name = name;
    entry.json = schedule.definition;
    if (auto definition = ScheduleDefinition::parse(schedule.definition)) {
      entry.definition = std::move(*definition);
      if (auto times = CronTimes::parse(entry.definition.options.cron)) entry.times = *times;
      if (auto zone = TimeZone::find(entry.definition.options.time_zone)) entry.zone = *zone;
    }
    entry.version = schedule.version;
    entry.paused = schedule.paused;
    entry.cursor_ns = schedule.cursor_ns;
    entry.last_ns = schedule.last_ns;
    entry.queued_ns = schedule.queued_ns;
  }
  for (const auto& [number, pipeline] : image.pipelines()) {
    const std::string& schedule = pipeline.traits->schedule;
    if (schedule.empty()) continue;
    if (const auto entry = entries_.find(schedule); entry != entries_.end())
      entry->second.live[number];
  }
}

std::optional<std::int64_t> ScheduleTable::next_after(const Entry& entry, std::int64_t ns) const {
  if (!entry.times || !entry.zone) return std::nullopt;
  const auto next = entry.times->next_after(seconds_of(ns), *entry.zone);
  return next ? std::optional(*next * kSecond) : std::nullopt;
}

ScheduleTable::Entry* ScheduleTable::find(std::string_view name) {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

std::expected<void, Error> ScheduleTable::set(std::string_view name, const ScheduleDefinition& definition) {
  const auto fail = [this](Error error) {
    if (journal_ != nullptr) journal_->release(1);
    return std::unexpected(std::move(error));
  };
  auto times = CronTimes::parse(definition.options.cron);
  if (!times) return fail(std::move(times.error()));
  auto zone = TimeZone::find(definition.options.time_zone);
  if (!zone) return fail(std::move(zone.error()));
  if (!times->next_after(seconds_of(clock_.unix_ns()), *zone)) {
    return fail(Error{ErrorCode::InvalidArgument, "cron '" + definition.options.cron +
                                                      "' names no time in the next 50 years (accepted: one "
                                                      "that does)"});
  }
  const MutexLock lock(mutex_);
  const auto [place, is_new] = entries_.try_emplace(std::string(name));
  Entry& entry = place->second;
  entry.name = name;
  std::string json = definition.to_json();
  const ScheduleOptions& had = entry.definition.options;
  const bool same_times =
      had.cron == definition.options.cron && had.time_zone == definition.options.time_zone;
  const bool changes = is_new || entry.json != json;
  if (is_new || !same_times) entry.cursor_ns = std::max(entry.cursor_ns, clock_.unix_ns());
  entry.definition = definition;
  entry.json = std::move(json);
  entry.times = *times;
  entry.zone = *zone;
  entry.bound = true;
  if (changes) {
    publish(entry, true);
  } else if (journal_ != nullptr) {
    journal_->release(1);
  }
  put(entry);
  look();
  return {};
}

std::expected<void, Error> ScheduleTable::pause(std::string_view name, bool paused) {
  const MutexLock lock(mutex_);
  Entry* const entry = find(name);
  if (entry == nullptr || entry->paused == paused) {
    if (journal_ != nullptr) journal_->release(1);
    if (entry == nullptr) return unknown(name);
    return {};
  }
  entry->paused = paused;
  entry->cursor_ns = std::max(entry->cursor_ns, clock_.unix_ns());
  publish(*entry, false);
  put(*entry);
  look();
  return {};
}

std::expected<void, Error> ScheduleTable::remove(std::string_view name) {
  const MutexLock lock(mutex_);
  Entry* const entry = find(name);
  if (entry == nullptr) {
    if (journal_ != nullptr) journal_->release(1);
    return unknown(name);
  }
  if (journal_ != nullptr) {
    journal_->publish(
        {clock_.unix_ns(), ScheduleChanged{.name = name, .version = entry->version + 1, .removed = true}},
        Durability::Process, nullptr, 0);
  }
  if (entry->next_ns) due_.erase({*entry->next_ns, entry->name});
  entries_.erase(entries_.find(name));
  return {};
}

std::vector<ScheduleInfo> ScheduleTable::list() {
  const MutexLock lock(mutex_);
  drain_ended();
  std::vector<ScheduleInfo> infos;
  for (const auto& [name, entry] : entries_) {
    infos.push_back({.name = name,
                     .definition = entry.definition,
                     .paused = entry.paused,
                     .bound = host_.find_workflow(entry.definition) != nullptr,
                     .next_ns = entry.paused ? 0 : next_after(entry, entry.cursor_ns).value_or(0),
                     .last_ns = entry.last_ns,
                     .queued_ns = entry.queued_ns,
                     .under_way = entry.live.size()});
  }
  return infos;
}

void ScheduleTable::start() {
  const MutexLock lock(mutex_);
  started_ = true;
  for (auto& [name, entry] : entries_) put(entry);
  look();
}

void ScheduleTable::look_again() {
  const MutexLock lock(mutex_);
  for (auto& [name, entry] : entries_) {
    if (entry.bound) continue;
    entry.bound = true;
    put(entry);
  }
  look();
}

void ScheduleTable::note(std::uint64_t pipeline_no, const ScheduleFiring& firing) {
  const MutexLock lock(pipelines_mutex_);
  firings_.try_emplace(pipeline_no, firing.schedule, firing.time_ns);
}

void ScheduleTable::join(PipelineHandle handle, std::uint64_t pipeline_no, std::string_view schedule,
                         std::int64_t time_ns) {
  const MutexLock lock(mutex_);
  note(pipeline_no, {.schedule = schedule, .time_ns = time_ns});
  if (Entry* const entry = find(schedule)) entry->live.insert_or_assign(pipeline_no, std::move(handle));
}

void ScheduleTable::ended(std::uint64_t pipeline_no) noexcept {
  {
    const MutexLock lock(pipelines_mutex_);
    const auto firing = firings_.find(pipeline_no);
    if (firing == firings_.end()) return;
    ended_.emplace_back(pipeline_no, std::move(firing->second.first));
    firings_.erase(firing);
  }
  timers_.schedule(clock_.steady_ns(), *this, 0);
}

std::pair<std::string, std::int64_t> ScheduleTable::firing_of(std::uint64_t pipeline_no) const {
  const MutexLock lock(pipelines_mutex_);
  const auto firing = firings_.find(pipeline_no);
  return firing == firings_.end() ? std::pair<std::string, std::int64_t>() : firing->second;
}

/// Takes note of pipelines that have ended.
void ScheduleTable::drain_ended() {
  std::vector<std::pair<std::uint64_t, std::string>> ended;
  {
    const MutexLock lock(pipelines_mutex_);
    ended.swap(ended_);
  }
  for (const auto& [pipeline_no, schedule] : ended) {
    Entry* const entry = find(schedule);
    if (entry == nullptr) continue;
    entry->live.erase(pipeline_no);
    if (entry->queued_ns != 0 || entry->waits) put(*entry);
  }
}

std::vector<std::string> ScheduleTable::names() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [name, entry] : entries_) all.push_back(name);
  return all;
}

bool ScheduleTable::keep(std::string_view name, std::uint64_t generation,
                         const std::function<void(TransitionGroup&&)>& publish) {
  const MutexLock lock(mutex_);
  const Entry* const entry = find(name);
  if (entry == nullptr) return false;
  publish(make_row(ScheduleKept{generation,
                                {.name = name,
                                 .version = entry->version,
                                 .paused = entry->paused,
                                 .cursor_ns = entry->cursor_ns,
                                 .last_ns = entry->last_ns,
                                 .queued_ns = entry->queued_ns,
                                 .definition = entry->json}}));
  return true;
}

void ScheduleTable::on_timer(std::uint64_t) noexcept {
  const MutexLock lock(mutex_);
  look();
}

/// Deals with all that is due.
void ScheduleTable::look() {
  drain_ended();
  if (!started_) return;
  const std::int64_t now = clock_.unix_ns();
  while (!due_.empty() && due_.begin()->first <= now) {
    if (!host_.admits()) return arm(kStoreLook);
    Entry& entry = *find(due_.begin()->second);
    if (deal_with(entry, now) == Dealt::Later) return arm(kSoon);
    put(entry);
  }
  arm(kLook);
}

/// Deals with an entry's first time that is due, or with all that are missed.
ScheduleTable::Dealt ScheduleTable::deal_with(Entry& entry, std::int64_t now) {
  if (host_.find_workflow(entry.definition) == nullptr) {
    entry.bound = false;
    return Dealt::Done;
  }
  if (entry.queued_ns != 0 && entry.live.empty()) return fire(entry, entry.queued_ns, entry.cursor_ns);
  const auto time = next_after(entry, entry.cursor_ns);
  if (!time || *time > now) return Dealt::Done;
  const ScheduleOptions& options = entry.definition.options;
  const bool is_late = now - *time > options.misfire_after.count();
  if (!is_late && *time > entry.missed_to_ns) return take_turn(entry, *time, *time);
  switch (options.misfire) {
    case Misfire::FireOnce:
      return take_turn(entry, *time, now);
    case Misfire::Skip:
      return move(entry, now - options.misfire_after.count() - 1);
    case Misfire::CatchUp:
      break;
  }
  return catch_up(entry, *time, now);
}

/// Deals with the first of the times that nobody was there for, or leaves out those that are too many.
ScheduleTable::Dealt ScheduleTable::catch_up(Entry& entry, std::int64_t time_ns, std::int64_t now) {
  if (entry.missed_to_ns < time_ns) entry.missed_to_ns = now;
  const std::int64_t from = caught_up_from(entry, entry.missed_to_ns);
  if (from != entry.cursor_ns) return move(entry, from);
  const Overlap overlap = entry.definition.options.overlap;
  if (overlap == Overlap::Allow || overlap == Overlap::CancelOther) return take_turn(entry, time_ns, time_ns);
  // Each after the one before: else that would leave it out.
  if (!entry.live.empty()) {
    entry.waits = true;
    return Dealt::Done;
  }
  // What came while they were caught up came while one was under way.
  const auto next = next_after(entry, time_ns);
  return fire(entry, time_ns, next && *next <= entry.missed_to_ns ? time_ns : std::max(time_ns, now));
}

/// The cursor behind which no more than catch_up_max times are due: its own, or a later one.
std::int64_t ScheduleTable::caught_up_from(const Entry& entry, std::int64_t now) const {
  const auto too_many = [&](std::int64_t from) {
    for (std::uint32_t count = 0; count <= entry.definition.options.catch_up_max; ++count) {
      const auto next = next_after(entry, from);
      if (!next || *next > now) return false;
      from = *next;
    }
    return true;
  };
  if (!too_many(entry.cursor_ns)) return entry.cursor_ns;
  std::int64_t many = seconds_of(entry.cursor_ns), few = seconds_of(now);
  while (few - many > 1) {
    const std::int64_t middle = many + (few - many) / 2;
    (too_many(middle * kSecond) ? many : few) = middle;
  }
  return few * kSecond;
}

/// A time's turn, beside those that are under way.
ScheduleTable::Dealt ScheduleTable::take_turn(Entry& entry, std::int64_t time_ns, std::int64_t cursor_ns) {
  if (entry.live.empty()) return fire(entry, time_ns, cursor_ns);
  switch (entry.definition.options.overlap) {
    case Overlap::Allow:
      return fire(entry, time_ns, cursor_ns);
    case Overlap::CancelOther:
      if (cancel_live(entry) == Dealt::Later) return Dealt::Later;
      return fire(entry, time_ns, cursor_ns);
    case Overlap::QueueOne: {
      const std::int64_t queued =
          std::exchange(entry.queued_ns, entry.queued_ns == 0 ? time_ns : entry.queued_ns);
      const Dealt dealt = move(entry, cursor_ns);
      if (dealt == Dealt::Later) entry.queued_ns = queued;
      return dealt;
    }
    case Overlap::Skip:
      return move(entry, cursor_ns);
  }
  return Dealt::Done;
}

ScheduleTable::Dealt ScheduleTable::cancel_live(Entry& entry) {
  for (const auto& [pipeline_no, handle] : entry.live) {
    if (!handle) continue;
    Pipeline& pipeline = Pipeline::of(*handle);
    // The timers' thread must not wait for a credit. One that was cancelled before gives it back.
    if (pipeline.level() != Durability::Memory && !journal_->try_reserve(1)) return Dealt::Later;
    pipeline.post_control(PipelineMessage::Kind::Cancel);
  }
  return Dealt::Done;
}

ScheduleTable::Dealt ScheduleTable::fire(Entry& entry, std::int64_t time_ns, std::int64_t cursor_ns) {
  if (journal_ != nullptr && !journal_->try_reserve(2)) return Dealt::Later;
  Context context;
  if (auto given = Context::parse(entry.definition.options.context)) context = std::move(*given);
  context.set("schedule", entry.name);
  context.set("scheduled_time", utc_text(time_ns));
  const ScheduleFiring firing{
      .schedule = entry.name, .version = entry.version + 1, .time_ns = time_ns, .cursor_ns = cursor_ns};
  auto handle =
      host_.fire(host_.find_workflow(entry.definition), entry.definition, firing, context.to_json());
  if (!handle) return Dealt::Later;  // the Runner stops: the next one fires it
  entry.version = firing.version;
  entry.cursor_ns = cursor_ns;
  entry.last_ns = time_ns;
  if (entry.queued_ns == time_ns) entry.queued_ns = 0;
  entry.live.insert_or_assign(Pipeline::of(*handle).number(), std::move(*handle));
  return Dealt::Done;
}

/// Moves the cursor on without a pipeline.
ScheduleTable::Dealt ScheduleTable::move(Entry& entry, std::int64_t cursor_ns) {
  if (journal_ != nullptr && !journal_->try_reserve(1)) return Dealt::Later;
  entry.cursor_ns = std::max(entry.cursor_ns, cursor_ns);
  publish(entry, false);
  return Dealt::Done;
}

/// Tells the journal how the entry stands. Uses up a credit.
void ScheduleTable::publish(Entry& entry, bool with_definition) {
  ++entry.version;
  if (journal_ == nullptr) return;
  journal_->publish({clock_.unix_ns(), ScheduleChanged{.name = entry.name,
                                                       .version = entry.version,
                                                       .paused = entry.paused,
                                                       .cursor_ns = entry.cursor_ns,
                                                       .last_ns = entry.last_ns,
                                                       .queued_ns = entry.queued_ns,
                                                       .definition = with_definition ? entry.json : ""}},
                    Durability::Process, nullptr, 0);
}

/// Puts an entry where it belongs among those that are due.
void ScheduleTable::put(Entry& entry) {
  if (entry.next_ns) due_.erase({*entry.next_ns, entry.name});
  entry.next_ns.reset();
  entry.waits = entry.waits && !entry.live.empty();
  if (entry.paused || !entry.bound || entry.waits) return;
  entry.next_ns = entry.queued_ns != 0 && entry.live.empty() ? std::optional(entry.queued_ns)
                                                             : next_after(entry, entry.cursor_ns);
  if (entry.next_ns) due_.emplace(*entry.next_ns, entry.name);
}

/// Has look() called when the next one is due, by the steady clock, and after `delay_max_ns` at the latest.
void ScheduleTable::arm(std::int64_t delay_max_ns) {
  timers_.cancel(timer_);
  timer_ = TimerId();
  if (due_.empty()) return;
  const std::int64_t due = std::max<std::int64_t>(0, due_.begin()->first - clock_.unix_ns());
  const std::int64_t delay = due == 0 ? delay_max_ns : std::min(due, delay_max_ns);
  timer_ = timers_.schedule(clock_.steady_ns() + delay, *this, 0);
}

}  // namespace leat
