#include "scheduler.h"

#include <algorithm>
#include <map>
#include <utility>

#include "completion.h"
#include "leat/context.h"
#include "leat/workflow_shape.h"
#include "refusal.h"
#include "store_failure.h"
#include "workflow_shape.h"

namespace leat {

Scheduler::Scheduler(Clock& clock, Rng& rng, TimerQueue& timers, Journal* journal, NamespaceTable& names,
                     Router& router, LaneTable& lanes, LentThreads& lent,
                     std::shared_ptr<Continuations> continuations, const WaitingOptions& waiting,
                     std::size_t backlog_min)
    : clock_(clock),
      rng_(rng),
      timers_(timers),
      journal_(journal),
      names_(names),
      router_(router),
      lanes_(lanes),
      lent_(lent),
      continuations_(std::move(continuations)),
      isolation_(lanes, journal),
      schedules_(clock, timers, journal, *this),
      waiting_(clock, timers, journal, *this, waiting),
      backlog_min_(backlog_min),
      ids_(clock, rng),
      chunks_(std::make_unique<std::atomic<Chunk*>[]>(kChunks)) {}

std::vector<Scheduler::Registered> Scheduler::known_workflows() const {
  std::vector<Registered> known;
  {
    MutexLock lock(mutex_);
    for (const auto& [version, workflow] : workflows_) known.push_back(workflow);
  }
  // In the order of their numbers, so that a simulated run does not depend on the order of a hash table.
  std::ranges::sort(known, {}, [](const Registered& workflow) { return workflow->workflow_no; });
  return known;
}

std::expected<void, Error> Scheduler::check_executors() const {
  for (const Registered& workflow : known_workflows()) {
    if (auto checked = check_executors(*workflow); !checked) return checked;
  }
  return {};
}

std::expected<void, Error> Scheduler::start() {
  {
    MutexLock lock(mutex_);
    started_ = true;
  }
  if (suspects_remembered_) isolation_.hold();
  // (5) release: who may begin a pipeline sees the engine started; pairs with (7) in accepting().
  accepting_.store(true, std::memory_order_release);
  for (const Registered& workflow : known_workflows()) {
    if (auto adopted = adopt(workflow); !adopted) return adopted;
  }
  isolation_.all_expected();
  gate_.open();
  schedules_.start();
  bool have_deadlines = false;
  {
    const MutexLock lock(mutex_);
    have_deadlines = !deadlines_.empty();  // only what was remembered has any
  }
  if (have_deadlines) timers_.schedule(clock_.steady_ns(), *this, kDeadlines);
  return {};
}

void Scheduler::committer_starts() {
  MutexLock lock(helping_);
  has_committer_ = true;
}

/// A credit for a record that is not a task's. Never taken under mutex_, which the committer needs
/// to free credits.
bool Scheduler::reserve_one() {
  {
    MutexLock lock(helping_);
    while (!has_committer_) {  // whoever registers commits, too
      if (journal_->try_reserve(1)) return true;
      if (journal_->commit_some() == 0) return false;
    }
  }
  return journal_->reserve(1);
}

std::expected<std::uint32_t, Error> Scheduler::define_key(std::string_view key) {
  if (journal_ == nullptr) return 0;
  if (!reserve_one()) return journal_closed();
  MutexLock lock(mutex_);
  const auto [known, fresh] = key_numbers_.try_emplace(std::string(key), next_key_no_);
  if (!fresh) {
    journal_->release(1);
    return known->second;
  }
  ++next_key_no_;
  journal_->publish({clock_.unix_ns(), KeyDefined{known->second, key}}, Durability::Process, nullptr, 0);
  return known->second;
}

std::expected<Scheduler::Registered, Error> Scheduler::register_workflow(const Workflow& workflow) {
  if (journal_ != nullptr && !reserve_one()) return journal_closed();
  bool started = false;
  std::expected<Registered, Error> made;
  {
    MutexLock lock(mutex_);
    started = started_;
    made = find_or_make(workflow);
  }
  if (!made) return made;
  Registered registered = *made;
  if (!started) return registered;  // start() checks and adopts
  if (auto checked = check_executors(*registered); !checked)
    return std::unexpected(std::move(checked.error()));
  if (auto adopted = adopt(registered); !adopted) return std::unexpected(std::move(adopted.error()));
  schedules_.look_again();
  return registered;
}

/// @pre a journal credit is reserved, and used up
std::expected<Scheduler::Registered, Error> Scheduler::find_or_make(const Workflow& workflow) {
  const auto unneeded = [this] {
    if (journal_ != nullptr) journal_->release(1);
  };
  if (const auto found = workflows_.find(workflow.version()); found != workflows_.end()) {
    unneeded();
    return found->second;
  }
  std::vector<RegisteredWorkflow::Task> tasks;
  for (const TaskDefinition& task : workflow.tasks()) {
    auto name = names_.intern(task.namespace_name);
    if (!name) {
      unneeded();
      return fail(ErrorCode::InvalidArgument, std::move(name.error().message));
    }
    tasks.push_back(
        {*name, task.executor.empty() ? std::nullopt : std::optional(router_.intern_key(task.executor))});
  }
  std::string definition;
  const auto number = number_of(workflow, definition);
  if (!number) return std::unexpected(number.error());
  auto made = std::make_shared<RegisteredWorkflow>(workflow, *number, continuations_, waiting_.out());
  made->tasks = std::move(tasks);
  made->stored_definition = std::move(definition);
  workflows_.emplace(workflow.version(), made);
  return made;
}

/// The workflow's number in the journal, which learns the workflow where it does not know it.
/// @param definition  set to what the journal has as its definition
/// @pre a journal credit is reserved, and used up
std::expected<std::uint32_t, Error> Scheduler::number_of(const Workflow& workflow, std::string& definition) {
  if (journal_ == nullptr) return next_workflow_no_++;
  if (const auto known = remembered_numbers_.find(workflow.version()); known != remembered_numbers_.end()) {
    const WorkflowImage& image = remembered_.at(known->second).workflow;
    if (image.name == workflow.full_name() && image.tasks.size() == workflow.tasks().size()) {
      journal_->release(1);
      definition = image.definition;
      return known->second;
    }
  }
  definition = definition_to_store(workflow);
  std::vector<std::string_view> names;
  std::size_t bytes = workflow.full_name().size() + workflow.definition().size();
  for (const TaskDefinition& task : workflow.tasks()) {
    names.push_back(task.name);
    bytes += task.name.size() + 4;  // with its length
  }
  if (bytes > kGroupBytesMax / 2) {
    journal_->release(1);
    return fail(ErrorCode::InvalidArgument, "the names and the definition of workflow '" +
                                                std::string(workflow.full_name()) + "' take " +
                                                std::to_string(bytes) + " bytes; at most " +
                                                std::to_string(kGroupBytesMax / 2) + " can be remembered");
  }
  const std::uint32_t number = next_workflow_no_++;
  journal_->publish({clock_.unix_ns(),
                     WorkflowDefined{number, workflow.full_name(), workflow.version(), names, definition}},
                    Durability::Process, nullptr, 0);
  return number;
}

std::expected<void, Error> Scheduler::check_executors(const RegisteredWorkflow& workflow) const {
  for (std::size_t i = 0; i < workflow.tasks.size(); ++i) {
    const auto& executor = workflow.tasks[i].executor;
    if (!executor || lanes_.find(*executor) != nullptr) continue;
    return fail(ErrorCode::InvalidArgument,
                "task '" + std::string(workflow.tasks[i].name) + "' names the executor '" +
                    std::string(router_.key(*executor)) +
                    "', which is not registered; registered are: " + lanes_.known_keys());
  }
  return {};
}

std::expected<Namespace, Error> Scheduler::register_task(std::string_view name, TaskFunction function) {
  const auto parts = parse_namespace(name);
  if (!parts) return fail(ErrorCode::InvalidArgument, parts.error().message);
  const auto workflow =
      Workflow::builder(std::string(parts->workflow))
          .tenant(std::string(parts->tenant))
          .package(std::string(parts->package))
          .version_tag("a task dispatched alone")
          .task(std::string(parts->task), std::move(function), {.retry = {.max_attempts = 1}})
          .build();
  if (!workflow) return fail(ErrorCode::InvalidArgument, workflow.error().message);
  if (const Namespace known = names_.find(name); known.valid() && find_task(known) != nullptr) {
    return fail(ErrorCode::AlreadyExists, "task '" + std::string(name) + "' is registered already");
  }
  auto registered = register_workflow(*workflow);
  if (!registered) return std::unexpected(std::move(registered.error()));
  const Namespace task = (*registered)->tasks.front().name;
  MutexLock lock(mutex_);
  if (task.index() >= kChunk * kChunks)
    return fail(ErrorCode::InvalidArgument, "more than 4,194,304 task names");
  auto& slot = chunks_[task.index() / kChunk];
  if (slot.load(std::memory_order_relaxed) == nullptr) {  // relaxed: written under the mutex only
    chunk_storage_.push_back(std::make_unique<Chunk>());
    slot.store(chunk_storage_.back().get(), std::memory_order_release);  // (1) release: pairs with (3)
  }
  // (2) release: publishes the workflow; pairs with (4).
  slot.load(std::memory_order_relaxed)
      ->tasks[task.index() % kChunk]
      .store(registered->get(), std::memory_order_release);
  return task;
}

const RegisteredWorkflow* Scheduler::find_task(Namespace name) const noexcept {
  if (!name.valid() || name.index() >= kChunk * kChunks) return nullptr;
  // (3) acquire: sees the chunk of (1). (4) acquire: sees the workflow of (2).
  const Chunk* const chunk = chunks_[name.index() / kChunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : chunk->tasks[name.index() % kChunk].load(std::memory_order_acquire);
}

const TaskDefinition* Scheduler::find_definition(Namespace task) const {
  if (!task.valid()) return nullptr;
  const std::string_view whole = task;
  const std::string_view workflow_name = whole.substr(0, whole.rfind("::"));
  const RegisteredWorkflow* latest = nullptr;
  std::uint32_t number = 0;
  MutexLock lock(mutex_);
  for (const auto& [version, workflow] : workflows_) {
    if (workflow->workflow.full_name() != workflow_name) continue;
    const auto found = workflow->workflow.find(whole);
    if (!found || (latest != nullptr && workflow->workflow_no < latest->workflow_no)) continue;
    latest = workflow.get();
    number = *found;
  }
  return latest == nullptr ? nullptr : &latest->workflow.tasks()[number];
}

/// @return null: not registered
Scheduler::Registered Scheduler::find_version(std::uint64_t version) const {
  MutexLock lock(mutex_);
  const auto found = workflows_.find(version);
  return found == workflows_.end() ? nullptr : found->second;
}

std::expected<PipelineHandle, DispatchError> Scheduler::submit_alone(const TaskReadyEvent& event,
                                                                     Durability level, Slots slot) {
  if (journal_ == nullptr) level = Durability::Memory;
  if (level != Durability::Memory && !journal_->admits()) {
    return std::unexpected(DispatchError{DispatchErrorCode::Storage, {}});
  }
  auto pipeline = begin(find_task(event.task_namespace)->shared_from_this(), event.pipeline_execution_id,
                        {.level = level,
                         .max_attempts = event.max_attempts,
                         .slot = std::move(slot),
                         .traits = {.priority = event.priority,
                                    .attempts_max = static_cast<std::uint32_t>(event.max_attempts)}});
  if (!pipeline) {
    const bool failed = journal_ != nullptr && journal_->failure() != nullptr;
    return std::unexpected(
        DispatchError{failed ? DispatchErrorCode::Storage : DispatchErrorCode::Stopped, {}});
  }
  return std::move(*pipeline);
}

/// @return nothing: the journal takes nothing more
std::optional<PipelineHandle> Scheduler::begin(Registered workflow, const Uuid& id, Beginning&& how) {
  const std::size_t credits = how.level == Durability::Memory ? 0 : 2;
  const std::string_view key = how.traits.concurrency_key;
  if (credits > 0 && !how.has_credits && !journal_->reserve(credits)) return std::nullopt;
  // relaxed: only the number itself matters.
  const std::uint64_t number = next_pipeline_no_.fetch_add(1, std::memory_order_relaxed);
  Pipeline& pipeline = Pipeline::make(*this, std::move(workflow),
                                      {.id = id,
                                       .pipeline_no = number,
                                       .level = how.level,
                                       .priority = how.traits.priority,
                                       .keyed = !key.empty(),
                                       .scheduled = !how.traits.firing.schedule.empty(),
                                       .is_child = !how.traits.parent.pipeline.is_nil(),
                                       .max_attempts = how.max_attempts},
                                      std::move(how.context));
  if (pipeline.is_child()) pipeline.set_parent(ParentImage(how.traits.parent));
  const bool failed = credits > 0 && journal_->failure() != nullptr;
  if (!failed && waiting_.in_use()) {
    const PipelineHandle handle = pipeline.handle();
    if (set_aside(pipeline, how)) return handle;
  }
  if (failed || !add_live(pipeline)) {
    if (credits > 0) journal_->release(credits);
    pipeline.abandon(true);
    return std::nullopt;
  }
  PipelineHandle handle = pipeline.handle();  // before it begins: it may have ended when start() returns
  if (pipeline.keyed()) {
    const bool later = how.traits.start_at_ns > clock_.unix_ns();
    gate_.join(pipeline, key, later ? ConcurrencyGate::Joins::Later : ConcurrencyGate::Joins::Due);
  }
  if (pipeline.scheduled()) schedules_.note(number, how.traits.firing);
  pipeline.start(std::move(how.slot), how.traits, how.writes);
  return handle;
}

void Scheduler::make_events(Namespace task, std::span<TaskReadyEvent> events,
                            std::int32_t max_attempts) noexcept {
  ids_.next(events.size(), [&](std::size_t i, const Uuid& id) {
    events[i] = {.pipeline_execution_id = id,
                 .task_execution_id = IdSource::of_task(id, 0),
                 .task_namespace = task,
                 .max_attempts = max_attempts};
  });
}

void Scheduler::release(const TaskReadyEvent& event, const RegisteredWorkflow::Task& task,
                        Slots slot) noexcept {
  if (!accepting()) return;  // it stays Ready for the next Runner
  Pipeline& pipeline = *pipeline_of(event);
  if (isolation_.holding() && pipeline.level() != Durability::Memory) {
    isolation_.release({event, task.executor, std::move(slot)}, pipeline.take_suspect(event.task_number));
  } else {
    lanes_.release(event, task.executor, std::move(slot));
  }
}

bool Scheduler::take_over(const TaskReadyEvent& event, std::uint32_t key_no, bool suspect) noexcept {
  ExecutorKeyId key;
  {
    MutexLock lock(mutex_);
    const auto known =
        std::ranges::find(key_numbers_, key_no, [](const auto& entry) { return entry.second; });
    if (known == key_numbers_.end()) return false;
    key = router_.intern_key(known->first);
  }
  if (lanes_.find(key) == nullptr) return false;
  if (isolation_.holding()) {
    isolation_.release({event, key, Slots()}, suspect);
  } else {
    lanes_.release(event, key, Slots());
  }
  return true;
}

bool Scheduler::add_live(Pipeline& pipeline) noexcept {
  address(pipeline, true);  // before the list, which abandon() closes and walks
  if (!live_.add(pipeline)) {
    address(pipeline, false);
    return false;
  }
  if (waiting_.in_use()) waiting_.entered(pipeline.bytes());
  unfinished_.fetch_add(1, std::memory_order_relaxed);  // relaxed: before anything of the pipeline can end
  return true;
}

void Scheduler::ended(Pipeline& pipeline) noexcept {
  if (pipeline.keyed()) gate_.leave(pipeline);
  if (pipeline.scheduled()) schedules_.ended(pipeline.number());
  if (waiting_.in_use()) {
    waiting_.left(pipeline.bytes());
    pipeline.leave_front();
  }
  if (pipeline.has_kin()) part(pipeline);
  if (pipeline.resumed()) resumed_.one_ended();
  // (8) release: who sees 0 sees what the tasks did; pairs with (9) in idle().
  unfinished_.fetch_sub(1, std::memory_order_release);
}

void Scheduler::unused(Pipeline& pipeline) noexcept {
  live_.remove(pipeline);
  address(pipeline, false);
}

/// Pipelines that can be told something, and children, are found by their identifiers, and only those.
void Scheduler::address(Pipeline& pipeline, bool live) {
  if (pipeline.workflow().signals.empty() && !pipeline.is_child()) return;
  MutexLock lock(mutex_);
  if (live) {
    addressed_.emplace(pipeline.id(), &pipeline);
  } else {
    addressed_.erase(pipeline.id());
  }
}

std::expected<PipelineHandle, Error> Scheduler::find_live(const Uuid& pipeline) const {
  MutexLock lock(mutex_);
  if (const auto found = addressed_.find(pipeline); found != addressed_.end()) return found->second->handle();
  return fail(ErrorCode::NotFound,
              "no pipeline " + pipeline.to_string() +
                  " that has signals lives here: it has ended, waits for its workflow, or never was");
}

void Scheduler::drain() noexcept {
  draining_.store(true, std::memory_order_relaxed);  // relaxed: who submits meanwhile is before it, or after
}

bool Scheduler::admitting() const noexcept {
  return accepting() && !draining_.load(std::memory_order_relaxed);  // relaxed: as above
}

void Scheduler::close() noexcept {
  accepting_.store(false, std::memory_order_release);  // (6) release: pairs with (7) in accepting()
}

bool Scheduler::accepting() const noexcept {
  return accepting_.load(std::memory_order_acquire);  // (7) acquire: pairs with (5) and (6)
}

void Scheduler::interrupt() {
  for (const PipelineHandle& handle : live_.all()) {
    Pipeline::of(handle).post_control(PipelineMessage::Kind::Interrupt);
  }
}

void Scheduler::abandon(bool threads_gone) noexcept {
  if (threads_gone) lanes_.gate().clear();
  waiting_.close();
  for (Backlog* const backlog : backlogs()) backlog->close();
  for (Pipeline* const pipeline : waiting_.out()->take_all()) {
    lives(*pipeline);
    pipeline->go_on();  // who has just told it something is answered
  }
  live_.close();  // who is about to begin a pipeline finds out, or is met here
  for (const PipelineHandle& handle : live_.all()) {
    Pipeline& pipeline = Pipeline::of(handle);
    if (threads_gone) unused(pipeline);
    pipeline.abandon(threads_gone);
  }
  isolation_.clear();
  forget_submissions();
  gate_.clear();
  resumed_.clear();
}

std::vector<UnfinishedWorkflow> Scheduler::unfinished() const {
  const auto in_store = waiting_.unopened();
  MutexLock lock(mutex_);
  std::map<std::uint32_t, UnfinishedWorkflow> ordered;
  for (const auto& [number, known] : remembered_) {
    const auto waiting = in_store.find(number);
    const std::size_t pipelines = known.pipelines.size() + (waiting == in_store.end() ? 0 : waiting->second);
    if (pipelines == 0) continue;
    const StoredDefinition definition = split_definition(known.workflow.definition);
    ordered.emplace(number, UnfinishedWorkflow{known.workflow.name, known.workflow.version,
                                               std::string(definition.given), pipelines});
  }
  std::vector<UnfinishedWorkflow> result;
  for (auto& [number, workflow] : ordered) result.push_back(std::move(workflow));
  return result;
}

bool Scheduler::idle() const noexcept {
  if (waiting_.waiting() > 0) return false;  // before the look at what lives, where it goes
  return unfinished_.load(std::memory_order_acquire) == 0;  // (9) acquire: pairs with (8)
}

}  // namespace leat
