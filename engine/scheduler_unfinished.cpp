// Pipelines of which the store remembers more than anybody can carry on: their version of the workflow is not
// registered. They end here: by their deadlines, by a cancel, or because an operator gives them up.
//
// A workflow of the same tasks without functions stands for the version that is gone, so that such a pipeline
// ends as any other does: its key is free, its parent is told, its summary is what the journal folds to.
#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "attempt.h"
#include "check.h"
#include "leat/namespace.h"
#include "leat/waiting.h"
#include "refusal.h"
#include "scheduler.h"
#include "store_failure.h"

namespace leat {
/// Uses up the credit for the end. @pre nothing of it is released
void Pipeline::end_at_once(const EndAtOnce& end) noexcept {
  switch (end.by) {
    case EndAtOnce::By::Deadline:
      return end_at_deadline(host_.clock().unix_ns());
    case EndAtOnce::By::Cancel:
      return cancel_tasks(false);
    case EndAtOnce::By::GivingUp:
      return give_up(end.reason);
    case EndAtOnce::By::None:
      break;
  }
}

/// Fails in one record: one task bears the reason, the others that do not run are cancelled. What ran with a
/// dead process follows. Uses up a credit.
void Pipeline::give_up(std::string_view reason) noexcept {
  if (open_ == 0 || cancelling_) return host_.journal()->release(1);
  cancelling_ = given_up_ = true;
  std::uint32_t bearer = kNone;
  for (const TaskState state : {TaskState::Running, TaskState::Ready, TaskState::NotStarted}) {
    for (std::uint32_t i = 0; i < workflow_->tasks.size() && bearer == kNone; ++i)
      if (state_of(i) == state) bearer = i;
  }
  const TaskState from = state_of(bearer);
  const std::uint32_t attempt = task_attempt(bearer);
  Step step;
  set_state(bearer, TaskState::Failed, attempt);
  count_terminal(TaskState::Failed);
  note_error(bearer, TaskState::Failed, reason);
  for (std::uint32_t i = 0; i < workflow_->tasks.size(); ++i) {
    const TaskState state = state_of(i);
    if (state == TaskState::NotStarted || state == TaskState::Ready)
      end_unstarted(i, TaskState::Cancelled, step);
  }
  const std::string_view told = end_to_tell();
  if (open_ == 0) keep_result();
  const std::int64_t now = host_.clock().unix_ns();
  if (open_ > 0) rare().finished_ns = now;
  publish({now, TaskEnded{.pipeline_no = identity_.pipeline_no,
                          .task = bearer,
                          .attempt = attempt,
                          .from = from,
                          .to = TaskState::Failed,
                          .cause = TaskEnded::Cause::GivenUp,
                          .successors = step.successors,
                          .pipeline = end_state(),
                          .error = reason,
                          .told = told}},
          step, 0);
}

/// @return  null: none can be made
Scheduler::Registered Scheduler::stand_in_of(std::uint32_t workflow_no) {
  Remembered& known = remembered_.at(workflow_no);
  if (known.stand_in != nullptr) return known.stand_in;
  const std::string name_of_task = known.workflow.name + "::task";
  const auto parts = parse_namespace(name_of_task);  // refers to the text
  if (!parts) return nullptr;
  Workflow::Builder builder{std::string(parts->workflow)};
  builder.tenant(std::string(parts->tenant)).package(std::string(parts->package));
  for (const std::string& task : known.workflow.tasks) builder.task(task);
  const auto workflow = builder.build();
  if (!workflow) return nullptr;
  auto made = std::make_shared<RegisteredWorkflow>(*workflow, workflow_no, continuations_, waiting_.out());
  for (std::size_t i = 0; i < known.workflow.tasks.size(); ++i) {
    LEAT_CHECK(workflow->tasks()[i].name == known.workflow.tasks[i]);
    const auto name = names_.intern(workflow->tasks()[i].namespace_name);
    if (!name) return nullptr;
    made->tasks.push_back({*name, std::nullopt});
  }
  return known.stand_in = std::move(made);
}

/// Adopting ends with it. @pre it is there
PipelineImage Scheduler::take_remembered(Remembered& from, std::uint64_t pipeline_no) {
  PipelineImage image = std::move(from.pipelines.extract(pipeline_no).mapped());
  // Starts that only the board knows are nobody's any more: the journal has the tasks as Ready.
  unrecorded_starts_.erase(pipeline_no);
  ++adopting_;
  return image;
}

/// @return  false: somebody else has taken it
std::expected<bool, Error> Scheduler::end_remembered(std::uint32_t workflow_no, std::uint64_t pipeline_no,
                                                     const Pipeline::EndAtOnce& end, bool& freed) {
  const auto find = [&]() LEAT_REQUIRES(mutex_) -> Remembered* {
    const auto known = remembered_.find(workflow_no);
    return known != remembered_.end() && known->second.pipelines.contains(pipeline_no) ? &known->second
                                                                                       : nullptr;
  };
  std::size_t credits = 0;
  {
    const MutexLock lock(mutex_);
    const Remembered* const known = find();
    if (known == nullptr) return false;
    credits = credits_of(known->pipelines.at(pipeline_no));
  }
  if (!journal_->reserve(credits)) return journal_closed();
  PipelineImage image;
  Registered stand_in;
  {
    const MutexLock lock(mutex_);
    Remembered* const known = find();
    if (known != nullptr) stand_in = stand_in_of(workflow_no);
    if (stand_in == nullptr) {
      journal_->release(credits);
      if (known == nullptr) return false;
      return fail(ErrorCode::InvalidState, "workflow '" + known->workflow.name + "' cannot be stood in for");
    }
    image = take_remembered(*known, pipeline_no);
  }
  const Adopting adopting(*this);
  if (!carry_on(stand_in, std::move(image), {}, end, freed)) return journal_closed();
  return true;
}

std::vector<std::uint64_t> Scheduler::remembered_of(std::uint32_t workflow_no) const {
  const MutexLock lock(mutex_);
  std::vector<std::uint64_t> numbers;
  const auto known = remembered_.find(workflow_no);
  if (known == remembered_.end()) return numbers;
  for (const auto& [pipeline_no, image] : known->second.pipelines) numbers.push_back(pipeline_no);
  return numbers;
}

/// Has some of a workflow's pipelines that wait in the store alone remembered. @return  false: there are none
std::expected<bool, Error> Scheduler::recall(std::uint32_t workflow_no) {
  if (!journal_->reserve(1)) return journal_closed();
  {
    const MutexLock lock(mutex_);
    ++adopting_;  // until they are remembered, no round of the checkpoint finds them
  }
  const Adopting adopting(*this);
  const auto rows = waiting_.take_out(workflow_no);
  if (!rows || rows->empty()) journal_->release(1);
  if (!rows) return fail(ErrorCode::Storage, rows.error().message);
  const MutexLock lock(mutex_);
  auto& pipelines = remembered_.at(workflow_no).pipelines;
  for (const std::string& row : *rows) {
    const bool read =
        decode_waiting(std::as_bytes(std::span(row)), [&](auto created_ns, const auto& created) {
          PipelineImage& image = pipelines[created.pipeline_no];
          image.pipeline_no = created.pipeline_no;
          image.id = created.id;
          image.workflow_no = workflow_no;
          image.open_tasks = created.task_count;
          image.created_ns = created_ns;
          image.context = created.context;
          image.level = created.level;
          image.priority = created.traits.priority;
          image.tasks.resize(created.task_count);
          for (const std::uint32_t task : created.ready) image.tasks[task].state = TaskState::Ready;
        });
    LEAT_CHECK(read);  // its checksum was right
  }
  return !rows->empty();
}

std::expected<std::size_t, Error> Scheduler::fail_unfinished(std::string_view workflow, std::uint64_t version,
                                                             std::string_view reason) {
  if (!accepting()) return fail(ErrorCode::Stopped, "the Runner has not started, or is stopping");
  if (reason.empty() || reason.size() > kReasonBytesMax) {
    return fail(ErrorCode::InvalidArgument, "a reason of " + std::to_string(reason.size()) +
                                                " bytes (accepted: 1 to " + std::to_string(kReasonBytesMax) +
                                                ")");
  }
  std::vector<std::uint32_t> numbers;
  {
    const MutexLock lock(mutex_);
    if (workflows_.contains(version))
      return fail(ErrorCode::InvalidState,
                  "that version is registered: its pipelines go on, and can be cancelled");
    for (const auto& [number, remembered] : remembered_) {
      if (remembered.workflow.version == version && remembered.workflow.name == workflow)
        numbers.push_back(number);
    }
  }
  if (numbers.empty()) {
    return fail(ErrorCode::NotFound, "the store holds nothing unfinished of that version of workflow '" +
                                         std::string(workflow) + "'");
  }
  std::size_t count = 0;
  bool freed = false;
  for (const std::uint32_t number : numbers) {
    for (bool more = true; more;) {
      for (const std::uint64_t pipeline_no : remembered_of(number)) {
        const auto ended =
            end_remembered(number, pipeline_no, {Pipeline::EndAtOnce::By::GivingUp, reason}, freed);
        if (!ended) return std::unexpected(ended.error());
        count += *ended;
      }
      const auto recalled = recall(number);
      if (!recalled) return std::unexpected(recalled.error());
      more = *recalled;
    }
  }
  if (freed) {
    if (auto adopted = adopt_freed(); !adopted) return std::unexpected(std::move(adopted.error()));
  }
  return count;
}

std::expected<void, Error> Scheduler::cancel(const Uuid& pipeline) {
  if (auto waits = find_in_backlog(pipeline)) return waits->cancel();
  if (auto live = live_.find(pipeline)) return live->cancel();
  if (!accepting()) return fail(ErrorCode::Stopped, "the Runner has not started, or is stopping");
  std::pair<std::uint32_t, std::uint64_t> place;
  {
    const MutexLock lock(mutex_);
    for (const auto& [number, remembered] : remembered_) {
      const auto found = std::ranges::find(remembered.pipelines, pipeline,
                                           [](const auto& entry) { return entry.second.id; });
      if (found != remembered.pipelines.end()) place = {number, found->first};
    }
  }
  bool freed = false;
  if (place.second != 0) {
    const auto ended =
        end_remembered(place.first, place.second, {.by = Pipeline::EndAtOnce::By::Cancel}, freed);
    if (!ended) return std::unexpected(ended.error());
    if (freed) return adopt_freed();
    if (*ended) return {};
  }
  if (auto waits = find_in_backlog(pipeline)) return waits->cancel();  // carried on meanwhile
  if (auto live = live_.find(pipeline)) return live->cancel();
  return fail(ErrorCode::NotFound, "no pipeline " + pipeline.to_string() +
                                       " lives here: it has ended, waits in the store alone, or never was");
}

/// Deadlines of pipelines that wait for their versions. On the thread of the timers, which must not wait for
/// a credit: other timers free some.
void Scheduler::look_at_deadlines() noexcept {
  if (!accepting()) return;
  constexpr std::chrono::nanoseconds kLook = std::chrono::minutes(1);  // the wall clock may jump
  constexpr std::chrono::nanoseconds kLater = std::chrono::milliseconds(5);
  const bool is_later = !end_overdue();
  std::int64_t left_ns = 0;
  {
    const MutexLock lock(mutex_);
    if (deadlines_.empty()) return;
    left_ns = std::get<0>(*deadlines_.begin()) - clock_.unix_ns();
  }
  const auto wait = is_later ? kLater : std::clamp(std::chrono::nanoseconds(left_ns), kLater, kLook);
  timers_.schedule(time_after(clock_.steady_ns(), wait), *this, kDeadlines);
}

/// @return  false: the journal has no room now
bool Scheduler::end_overdue() noexcept {
  const std::int64_t now = clock_.unix_ns();
  bool freed = false;
  const auto adopt_children = [&] {
    if (freed) timers_.schedule(clock_.steady_ns(), *this, kFreed);
  };
  for (;;) {
    PipelineImage image;
    Registered stand_in;
    {
      const MutexLock lock(mutex_);
      if (deadlines_.empty()) break;
      const auto [at_ns, workflow_no, pipeline_no] = *deadlines_.begin();
      const auto known = remembered_.find(workflow_no);
      const bool waits = known != remembered_.end() && known->second.pipelines.contains(pipeline_no);
      if (waits && at_ns > now) break;
      if (waits) stand_in = stand_in_of(workflow_no);
      if (stand_in != nullptr) {
        if (!journal_->try_reserve(credits_of(known->second.pipelines.at(pipeline_no)))) {
          adopt_children();
          return false;
        }
        image = take_remembered(known->second, pipeline_no);
      }
      deadlines_.erase(deadlines_.begin());
    }
    if (stand_in == nullptr) continue;  // it was carried on, or has ended
    const Adopting adopting(*this);
    if (!carry_on(stand_in, std::move(image), {}, {.by = Pipeline::EndAtOnce::By::Deadline}, freed)) break;
  }
  adopt_children();
  return true;
}

/// A child's end whose parent waits for its version: it is told once somebody carries it on.
bool Scheduler::note_child_end(const Word& word) {
  const MutexLock lock(mutex_);
  for (auto& [number, remembered] : remembered_) {
    const auto parent =
        std::ranges::find(remembered.pipelines, word.to, [](const auto& entry) { return entry.second.id; });
    if (parent == remembered.pipelines.end()) continue;
    TraitsImage& traits = parent->second.traits.touch();
    if (!traits.signals.contains(word.name)) traits.child_ends.try_emplace(word.name, word.value);
    return true;
  }
  return false;
}

}  // namespace leat
