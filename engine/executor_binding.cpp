#include "executor_binding.h"

#include <algorithm>
#include <utility>

#include "completion.h"
#include "leat/context.h"

namespace leat {

ExecutorBinding::ExecutorBinding(std::shared_ptr<TaskExecutor> executor, Scheduler& scheduler) noexcept
    : executor_(std::move(executor)), scheduler_(scheduler) {
  executor_->services_ = this;
}

ExecutorBinding::~ExecutorBinding() {
  executor_->services_ = nullptr;
}

void ExecutorBinding::add(Lane& lane) {
  MutexLock lock(mutex_);
  auto next = std::make_unique<Lanes>(lanes());
  next->push_back(&lane);
  lanes_.store(next.get(), std::memory_order_release);  // (2) release: pairs with (1)
  versions_.push_back(std::move(next));
}

void ExecutorBinding::remove(Lane& lane) {
  MutexLock lock(mutex_);
  auto next = std::make_unique<Lanes>(lanes());
  if (std::erase(*next, &lane) == 0) return;
  lanes_.store(next.get(), std::memory_order_release);  // (2) as in add()
  versions_.push_back(std::move(next));
}

std::expected<std::string, Error> ExecutorBinding::load_context(const TaskReadyEvent& event) const {
  const Pipeline* const pipeline = pipeline_of(event);
  if (pipeline == nullptr) return "{}";  // dispatched alone at level Memory: nothing is kept for it
  return pipeline->load_context(event.task_number);
}

std::expected<void, Error> ExecutorBinding::stage_context(const TaskReadyEvent& event,
                                                          std::string_view json) {
  Pipeline* const pipeline = pipeline_of(event);
  if (pipeline == nullptr) return {};  // nobody will ask for it
  if (auto fits = check_context_size(json.size()); !fits) return fits;
  if (auto parsed = Context::parse(json); !parsed) return std::unexpected(std::move(parsed.error()));
  Attempt* const attempt = pipeline->running(event.task_number, event.attempt);
  if (attempt == nullptr) {
    return std::unexpected(Error{ErrorCode::InvalidState, "the attempt has ended already"});
  }
  attempt->staged_context = std::string(json);
  return {};
}

const TaskDefinition* ExecutorBinding::definition(const TaskReadyEvent& event) const noexcept {
  if (const Pipeline* const pipeline = pipeline_of(event)) {
    return &pipeline->workflow().definitions[event.task_number];
  }
  const RegisteredWorkflow* const alone = scheduler_.find_task(event.task_namespace);
  return alone == nullptr ? nullptr : &alone->definitions.front();
}

const TaskFunction* ExecutorBinding::find_task(const TaskReadyEvent& event) const noexcept {
  const TaskDefinition* const task = definition(event);
  return task == nullptr || !task->function ? nullptr : &task->function;
}

std::string_view ExecutorBinding::task_config(const TaskReadyEvent& event) const noexcept {
  const TaskDefinition* const task = definition(event);
  return task == nullptr ? "{}" : std::string_view(task->config);
}

const TaskFunction* ExecutorBinding::find_task(Namespace task) const {
  const TaskDefinition* const found = scheduler_.find_definition(task);
  return found == nullptr || !found->function ? nullptr : &found->function;
}

std::string_view ExecutorBinding::task_config(Namespace task) const {
  const TaskDefinition* const found = scheduler_.find_definition(task);
  return found == nullptr ? "{}" : std::string_view(found->config);
}

void ExecutorBinding::capacity_changed() noexcept {
  for (Lane* const lane : lanes()) lane->slots_released();
}

bool ExecutorBinding::has_slots() const noexcept {
  const Lanes& all = lanes();
  return all.empty() || std::ranges::any_of(all, &Lane::has_slots);
}

ExecutorMetrics ExecutorBinding::metrics() const {
  const Lanes& all = lanes();
  return Lane::metrics_of(std::vector<const Lane*>(all.begin(), all.end()));
}

}  // namespace leat
