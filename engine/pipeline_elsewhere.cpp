// Attempts whose work is elsewhere and has a name there: remembering the name, and taking the work over after
// a crash. Such a task stays Running, in the journal and here, until its executor says how it ended, or that
// it does not know it.
#include <algorithm>
#include <string>
#include <utility>

#include "crash_traces.h"
#include "lane.h"
#include "pipeline.h"

namespace leat {

std::expected<void, Error> Pipeline::refer(Attempt& attempt, std::string_view external_ref) {
  if (identity_.level == Durability::Memory) return {};
  if (!host_.journal()->reserve(1)) {
    return std::unexpected(Error{ErrorCode::Stopped, "the Runner is stopping"});
  }
  const auto message = std::make_shared<ReferMessage>();
  message->kind = PipelineMessage::Kind::Refer;
  message->attempt = &attempt;
  message->external_ref = external_ref;
  message->self = message;
  post(*message);
  message->handled.acquire();
  if (!message->taken) return std::unexpected(Error{ErrorCode::InvalidState, "the attempt is over"});
  if (auto flushed = host_.journal()->flush(identity_.level); !flushed) {
    return std::unexpected(Error{ErrorCode::Storage, std::move(flushed.error().message)});
  }
  return {};
}

/// Behind the record of the attempt's start and before that of its end. Uses up a credit.
void Pipeline::note_reference(ReferMessage& message) noexcept {
  const auto held = std::move(message.self);
  const Attempt& attempt = *message.attempt;
  const std::uint32_t index = attempt.task.event.task_number;
  if (is_current(attempt)) {
    if (elsewhere() == nullptr) rare().elsewhere = std::make_unique<Elsewhere>();
    elsewhere()->names[index] = message.external_ref;
    host_.journal()->publish({host_.clock().unix_ns(),
                              TaskReferred{.pipeline_no = identity_.pipeline_no,
                                           .task = index,
                                           .attempt = static_cast<std::uint32_t>(attempt.task.event.attempt),
                                           .external_ref = message.external_ref}},
                             identity_.level, nullptr, 0);
    message.taken = true;
  } else {
    host_.journal()->release(1);
  }
  message.handled.release();
}

/// Before anything of a restored pipeline is released: who takes work over reads the names later, unowned.
void Pipeline::remember_elsewhere(const PipelineImage& image, std::span<const BoardLine::Task> starts) {
  Elsewhere elsewhere;
  for (std::uint32_t i = 0; i < image.tasks.size(); ++i) {
    if (image.tasks[i].state == TaskState::Running && !image.tasks[i].external_ref.empty())
      elsewhere.remembered.emplace(i, image.tasks[i].external_ref);
  }
  if (elsewhere.remembered.empty()) return;
  elsewhere.names = elsewhere.remembered;
  for (const BoardLine::Task& start : starts) {
    if (start.adoption == 0) continue;
    std::uint32_t& deaths = elsewhere.deaths[start.task];
    deaths = std::max(deaths, start.adoption);  // lines of earlier processes are there still
  }
  rare().elsewhere = std::make_unique<Elsewhere>(std::move(elsewhere));
}

/// How many processes in a row have died while they took the task's work over, or had done so.
std::uint32_t Pipeline::adoption_deaths(std::uint32_t index) const noexcept {
  if (elsewhere() == nullptr) return 0;
  const auto found = elsewhere()->deaths.find(index);
  return found == elsewhere()->deaths.end() ? 0 : found->second;
}

/// Of a task that a dead process left Running: sends it to the executor that had begun it, where its work has
/// a name. Its credit goes with it. @return false: it has none, there is no such executor, or too many
/// processes have died with it
bool Pipeline::take_over(std::uint32_t index, std::uint32_t key_no) noexcept {
  if (elsewhere() == nullptr || !elsewhere()->remembered.contains(index)) return false;
  Task& task = tasks_[index];
  const std::uint32_t deaths = adoption_deaths(index);
  if (deaths > 0 && task.rescues + deaths >= workflow_->definitions[index].rescues_max) return false;
  const bool suspect = deaths > 0 || task.rescues >= kSuspectedRescues;
  task.isolated = suspect && host_.expect_suspect(workflow_->tasks[index]);
  ++outstanding_;
  task.begun.store(true, std::memory_order_relaxed);  // relaxed: published by the lane's queue
  TaskReadyEvent event = event_of(index);
  event.adopts = true;
  if (host_.take_over(event, key_no, task.isolated)) {
    begin_total_limit(index, host_.clock().steady_ns());
    return true;
  }
  --outstanding_;
  if (std::exchange(task.isolated, false)) host_.suspect_ended();
  return false;
}

/// By the worker. The journal says Running already; on the board the adoption stands as a start would.
bool Pipeline::begin_adopted(Attempt& attempt) noexcept {
  const std::uint32_t index = attempt.task.event.task_number;
  attempt.journal_credits = 1;
  attempt.adopts_ref = elsewhere()->remembered.at(index);
  if (attempt.line != nullptr) {
    attempt.line->begin({.pipeline_no = identity_.pipeline_no,
                         .task = index,
                         .attempt = static_cast<std::uint32_t>(attempt.task.event.attempt),
                         .rescues = tasks_[index].rescues,
                         .key_no = attempt.lane->journal_key(),
                         .adoption = adoption_deaths(index) + 1});
  }
  // (23) release: shows the record to a cancel's or a limit's look, which posts nothing to it before.
  tasks_[index].running.store(&attempt, std::memory_order_release);
  post(*new PipelineMessage{.kind = PipelineMessage::Kind::Adopted, .next = nullptr, .attempt = &attempt});
  return true;
}

/// What was asked of the task while no attempt stood for it is asked of the attempt now.
void Pipeline::watch_adopted(Attempt& attempt) noexcept {
  if (!is_current(attempt)) return;
  if (cancelling_) {
    attempt.listener->told(attempt);
    attempt.request_stop(attempt.generation());
  }
  if (limits() != nullptr && limits()[attempt.task.event.task_number].total_over)
    attempt.on_timer(attempt.generation());
}

/// At a stop: whether the work goes on elsewhere, so that the task stays Running for the next process.
bool Pipeline::stays_elsewhere(std::uint32_t index, Attempt* attempt) noexcept {
  if (elsewhere() == nullptr || !elsewhere()->names.contains(index) || cancelling_) return false;
  // relaxed: only the step reads it from here on.
  if (attempt != nullptr) {
    tasks_[index].key_no = attempt->lane->journal_key();
    tasks_[index].running.store(nullptr, std::memory_order_relaxed);
  }
  return true;
}

/// The executor does not know the work: as if it had had no name.
void Pipeline::give_up_adoption(Attempt& attempt) noexcept {
  attempt.unknown_elsewhere = false;
  attempt.lane->count(attempt, Lane::Outcome::Dropped);
  --outstanding_;
  if (is_current(attempt)) {
    const std::uint32_t index = attempt.task.event.task_number;
    tasks_[index].running.store(nullptr, std::memory_order_relaxed);  // relaxed: as above
    tasks_[index].key_no = attempt.lane->journal_key();
    rescue(index, attempt.journal_credits);
  }
  give_back(attempt);
}

}  // namespace leat
