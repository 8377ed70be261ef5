#include "resumed_pipelines.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "pipeline.h"

namespace leat {

void ResumedPipelines::add(PipelineHandle handle) {
  const MutexLock lock(mutex_);
  handles_.push_back(std::move(handle));
}

void ResumedPipelines::one_ended() noexcept {
  std::vector<PipelineHandle> gone;  // let go of without the mutex
  const MutexLock lock(mutex_);
  ++ended_;
  if (ended_ <= kEndedMax || ended_ < handles_.size() - std::min(ended_, handles_.size())) return;
  const auto live = [](const PipelineHandle& handle) { return !Pipeline::of(handle).over(); };
  const auto ended = std::stable_partition(handles_.begin(), handles_.end(), live);
  gone.assign(std::make_move_iterator(ended), std::make_move_iterator(handles_.end()));
  handles_.erase(ended, handles_.end());
  handles_.shrink_to_fit();
  ended_ = 0;
}

std::vector<PipelineHandle> ResumedPipelines::all() const {
  const MutexLock lock(mutex_);
  return handles_;
}

std::optional<PipelineHandle> ResumedPipelines::find(const Uuid& id) const {
  const MutexLock lock(mutex_);
  const auto found = std::ranges::find(handles_, id, &PipelineHandle::id);
  return found == handles_.end() ? std::nullopt : std::optional(*found);
}

void ResumedPipelines::clear() noexcept {
  std::vector<PipelineHandle> gone;
  const MutexLock lock(mutex_);
  gone.swap(handles_);
  ended_ = 0;
}

}  // namespace leat
