// What pipelines need from the engine, so that neither they nor their step know the scheduler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

#include "capacity.h"
#include "concurrency_gate.h"
#include "leat/clock.h"
#include "leat/journal.h"
#include "leat/rng.h"
#include "leat/store_image.h"
#include "leat/task_event.h"
#include "leat/uuid.h"
#include "leat/workflow.h"
#include "lent_threads.h"
#include "registered_workflow.h"
#include "timer_queue.h"

namespace leat {

class Pipeline;

/// Implemented by the Scheduler.
class PipelineHost {
 public:
  virtual Clock& clock() noexcept = 0;
  virtual Rng& rng() noexcept = 0;
  virtual TimerQueue& timers() noexcept = 0;
  /// Sends a task whose attempt runs elsewhere to the lane of the key that began it, by the key's number in
  /// the journal. @param suspect  expected. @return false: no executor has that key now
  virtual bool take_over(const TaskReadyEvent& event, std::uint32_t key_no, bool suspect) noexcept = 0;
  /// Null where nothing is remembered: then every pipeline is at level Memory.
  virtual Journal* journal() noexcept = 0;
  /// Where a thread that waits lends itself meanwhile; null: nobody lends. Not after Pipeline::abandon().
  virtual LentThreads* lent() noexcept = 0;
  /// Where pipelines with a concurrency key wait until they may begin.
  virtual ConcurrencyGate& gate() noexcept = 0;
  /// The schedule of a pipeline that one submitted, and the time that it stands for.
  virtual std::pair<std::string, std::int64_t> firing_of(const Pipeline& pipeline) const = 0;
  /// Sends a Ready task on to its lane; `slot` may hold one that was taken for it already.
  virtual void release(const TaskReadyEvent& event, const RegisteredWorkflow::Task& task,
                       Slots slot) noexcept = 0;
  /// The pipeline has ended at its level. Attempts that are late and tasks that were cancelled while queued
  /// may still refer to it.
  virtual void ended(Pipeline& pipeline) noexcept = 0;
  /// Nothing of the engine refers to the pipeline any more.
  virtual void unused(Pipeline& pipeline) noexcept = 0;
  /// Whether the store was closed in good order: then nobody died with what it left Running.
  virtual bool closed_cleanly() const noexcept = 0;
  /// A task that may have killed its process will be released, and reported once it is back.
  ///
  /// @return  false: it need not be, it runs as any other
  virtual bool expect_suspect(const RegisteredWorkflow::Task& task) noexcept = 0;
  virtual void suspect_ended() noexcept = 0;
  /// A task is given up because its process died with it too often. Before that is published.
  virtual void quarantined(const Uuid& pipeline, std::uint32_t task, QuarantineImage image) noexcept = 0;
  /// The record that set it aside has reached its level.
  virtual void is_aside(const Pipeline& pipeline) noexcept = 0;
  /// Has it live, where it waits in the store alone. @return false: the journal takes nothing more
  virtual bool bring_in(Pipeline& pipeline) = 0;
  /// How many stand before it in the store; empty: it lives.
  virtual std::optional<std::uint64_t> place_in_store(const Pipeline& pipeline) const = 0;
  /// One that came from the store has begun, was paused, or has ended without.
  virtual void left_front(const Pipeline& pipeline) noexcept = 0;
  /// Begins a child at its parent's level, unless there is one already.
  /// @param link  refers to a text of the caller's
  virtual std::expected<void, Error> begin_child(Pipeline& parent, const Uuid& id, const ParentLink& link,
                                                 const Workflow& workflow, std::string context) = 0;
  /// Tells a pipeline's children to end. Never waits.
  virtual void cancel_children(Pipeline& parent) noexcept = 0;
  /// A child above level Memory is about to publish its end, or its parent finds that it has ended: no round
  /// of the checkpoint is complete from here on until the parent has published that it was told.
  virtual void child_ends() noexcept = 0;
  virtual void child_end_taken() noexcept = 0;
  /// The pipeline has done what post_keep() asked for.
  ///
  /// @param bytes  of its row; 0: it has ended, and needs none
  virtual void kept(std::size_t bytes) noexcept = 0;

 protected:
  ~PipelineHost() = default;
};

}  // namespace leat
