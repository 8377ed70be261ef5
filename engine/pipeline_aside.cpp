// A pipeline that waits in the store alone: how it goes there before anything of it begins, and how it comes
// back. While a handle refers to it, it stays owned by nobody's step, so that what it is told waits until it
// is back.
#include <algorithm>
#include <utility>

#include "leat/waiting.h"
#include "pipeline.h"

namespace leat {
namespace {

// What a parked task takes, and malloc for each block.
constexpr std::size_t kParkedBytes = 33;
constexpr std::size_t kBlockBytes = 16;

}  // namespace

bool Pipeline::may_be_set_aside(const PipelineTraits& traits) const noexcept {
  PipelineTraits others = traits;
  others.idempotency_key = {};  // the index remembers it
  others.key_ends_ns = 0;
  others.priority = Priority::Normal;  // its line's, and its row's
  // A limit on a root's waiting counts from the submission on, by a timer.
  const auto begins = [this](std::uint32_t root) {
    const TaskDefinition& task = workflow_->definitions[root];
    return task.queue_timeout.count() == 0 && task.total_timeout.count() == 0 && verdict(root);
  };
  return identity_.level != Durability::Memory && identity_.max_attempts == 0 && others.empty() &&
         workflow_->signals.empty() && !remembered_context().is_apart() &&
         remembered_context().text.size() <= kContextInlineBytesMax &&
         std::ranges::all_of(workflow_->workflow.roots(), begins);
}

std::size_t Pipeline::bytes_of(const RegisteredWorkflow& workflow, std::size_t context_bytes) noexcept {
  const std::size_t tasks = workflow.tasks.size();
  std::size_t bytes = sizeof(Pipeline) + kBlockBytes + kParkedBytes * workflow.workflow.roots().size();
  if (tasks > 1) bytes += kBlockBytes + tasks * sizeof(Task);
  if (workflow.limits_waiting) bytes += 2 * kBlockBytes + sizeof(Rare) + tasks * sizeof(Limits);
  if (context_bytes > 0) bytes += context_bytes + sizeof(SharedContext) + 2 * kBlockBytes;
  return bytes;
}

/// Its first tasks are Ready, as its record says; nothing is released. @return the first of them
std::uint32_t Pipeline::make_roots_ready() noexcept {
  state_.store(PipelineState::Running, std::memory_order_relaxed);  // relaxed: a value to look at
  Step step;
  for (const std::uint32_t root : workflow_->workflow.roots()) make_ready(root, step);
  return step.first;
}

PipelineCreated Pipeline::created() const noexcept {
  return {.pipeline_no = identity_.pipeline_no,
          .id = identity_.id,
          .workflow_no = workflow_->workflow_no,
          .task_count = static_cast<std::uint32_t>(workflow_->tasks.size()),
          .level = identity_.level,
          .ready = workflow_->workflow.roots(),
          .context = remembered_context(),
          .traits = {.priority = identity_.priority}};
}

void Pipeline::set_aside(const WaitingLine& line, std::uint64_t place, const PipelineTraits& traits) {
  make_roots_ready();
  created_ns_ = host_.clock().unix_ns();
  PipelineSetAside record{line, place, created()};
  record.created.traits = traits;
  where_.store(Where::Store, std::memory_order_relaxed);  // relaxed: nobody else knows it yet
  host_.journal()->publish({created_ns_, record}, identity_.level, this, kAsideToken);
}

/// By the committer. The last thing that it does here: its handles may be gone.
void Pipeline::is_set_aside(std::uint64_t sequence, bool reached) noexcept {
  if (reached) {
    acknowledge(sequence);
  } else {
    set_phase(Phase::StoreFailed);
  }
  host_.is_aside(*this);
  drop_reference();  // the engine's
}

bool Pipeline::come_back() noexcept {
  // (37) acquire: pairs with (31): who finds none leaves the object to its destructor.
  std::uint32_t references = references_.load(std::memory_order_relaxed);
  while (references > 0) {
    if (!references_.compare_exchange_weak(references, references + 1, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      continue;
    }
    where_.store(Where::Front, std::memory_order_relaxed);  // relaxed: asked again under the lines' mutex
    return true;
  }
  return false;
}

std::string Pipeline::waiting_row() const {
  return encode_waiting(created_ns_, created());
}

void Pipeline::remake(std::int64_t created_ns) noexcept {
  created_ns_ = created_ns;
  make_roots_ready();
  where_.store(Where::Front, std::memory_order_relaxed);  // relaxed: nobody else knows it yet
  acknowledge(0);
}

void Pipeline::restore_waiting(std::int64_t created_ns) noexcept {
  created_ns_ = created_ns;
  make_roots_ready();
  acknowledge(0);
  drain();
}

void Pipeline::go_on() noexcept {
  drain();
}

/// By the committer: what it waits for is in the store. Its tasks begin.
void Pipeline::is_taken_in(std::uint64_t sequence, bool reached) noexcept {
  on_commit(workflow_->workflow.roots().front() + 1, sequence, reached);
}

void Pipeline::leave_front() noexcept {
  // relaxed: one of those who tell it is enough.
  if (where_.exchange(Where::Memory, std::memory_order_relaxed) == Where::Front) host_.left_front(*this);
}

}  // namespace leat
