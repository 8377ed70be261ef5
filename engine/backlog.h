// Pipelines that the store held at opening, of which nothing had begun, and more than their lane can begin
// soon: until their turns come they stay images, which take two thirds of the memory, and a start does not
// wait until a million of them are made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "leat/pipeline_handle.h"
#include "leat/store_image.h"
#include "leat/task_event.h"
#include "leat/uuid.h"
#include "leat_locks/mutex.h"
#include "parking_lot.h"
#include "registered_workflow.h"

namespace leat {

class Pipeline;

/// Those of one workflow whose only first task is Ready, in the order of their submission. A lane's lot
/// refers to it, so it stays.
///
/// Thread-safety: any number of threads. Behind its mutex come those of what lives and of what was carried on
/// alone: a lane asks for the next one wherever a slot comes free.
/// Invariant: a pipeline is an image here until it lives, without a moment between the two; one that was made
///   before its turn, because somebody asked for a handle, is released at its turn nevertheless.
class Backlog final : public ParkedLine {
 public:
  using Images = std::map<std::uint64_t, PipelineImage>;  // by pipeline_no
  /// Has a pipeline live, of which nothing is released; it may be told things at once.
  /// @return  null: the Runner stops
  using Make = std::function<Pipeline*(const std::shared_ptr<const RegisteredWorkflow>&, PipelineImage&&)>;
  static constexpr std::size_t kMin = 1'000;  // with fewer of a workflow it is not worth it; tests have others

  Backlog(std::shared_ptr<const RegisteredWorkflow> workflow, Images&& images, Make make)
      : workflow_(std::move(workflow)), make_(std::move(make)), images_(std::move(images)) {}

  std::optional<TaskReadyEvent> next() noexcept override;
  std::optional<std::size_t> place_of(const TaskReadyEvent& event) const override;

  /// Has all of them made.
  void make_all();
  /// @return  nothing: it is none of those that are images
  std::optional<PipelineHandle> make(const Uuid& id);
  /// Tells of the first image from a number on. @return  its number; nothing: there is none
  std::optional<std::uint64_t> look(std::uint64_t from,
                                    const std::function<void(const PipelineImage&)>& use) const;
  /// Nothing comes any more: the engine lets go of its pipelines.
  void close() noexcept;

 private:
  Pipeline* make_one(Images::iterator image) LEAT_REQUIRES(mutex_);
  void keep(Pipeline& made) LEAT_REQUIRES(mutex_);

  const std::shared_ptr<const RegisteredWorkflow> workflow_;
  const Make make_;
  mutable Mutex mutex_;
  Images images_ LEAT_GUARDED_BY(mutex_);
  std::deque<Pipeline*> made_ LEAT_GUARDED_BY(mutex_);  // before their turns; by number
};

}  // namespace leat
