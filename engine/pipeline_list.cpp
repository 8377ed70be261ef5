#include "pipeline_list.h"

#include "pipeline.h"

namespace leat {

PipelineList::Shard& PipelineList::shard_of(const Pipeline& pipeline) noexcept {
  return shards_[pipeline.number() / kNeighbours % kShards];
}

bool PipelineList::add(Pipeline& pipeline) noexcept {
  Shard& shard = shard_of(pipeline);
  const MutexLock lock(shard.mutex);
  if (shard.closed) return false;
  pipeline.earlier_ = shard.last;
  (shard.last == nullptr ? shard.first : shard.last->later_) = &pipeline;
  shard.last = &pipeline;
  return true;
}

void PipelineList::remove(Pipeline& pipeline) noexcept {
  Shard& shard = shard_of(pipeline);
  const MutexLock lock(shard.mutex);
  if (pipeline.earlier_ == nullptr && shard.first != &pipeline) return;
  if (shard.next == &pipeline) shard.next = shard.until == &pipeline ? nullptr : pipeline.later_;
  if (shard.until == &pipeline) shard.until = pipeline.earlier_;
  (pipeline.earlier_ == nullptr ? shard.first : pipeline.earlier_->later_) = pipeline.later_;
  (pipeline.later_ == nullptr ? shard.last : pipeline.later_->earlier_) = pipeline.earlier_;
  pipeline.earlier_ = pipeline.later_ = nullptr;
}

void PipelineList::close() noexcept {
  for (Shard& shard : shards_) {
    const MutexLock lock(shard.mutex);
    shard.closed = true;
  }
}

std::vector<PipelineHandle> PipelineList::all() const {
  std::vector<PipelineHandle> pipelines;
  for (const Shard& shard : shards_) {
    const MutexLock lock(shard.mutex);
    for (Pipeline* pipeline = shard.first; pipeline != nullptr; pipeline = pipeline->later_) {
      pipelines.push_back(pipeline->handle());
    }
  }
  return pipelines;
}

std::optional<PipelineHandle> PipelineList::find(const Uuid& id) const {
  for (const Shard& shard : shards_) {
    const MutexLock lock(shard.mutex);
    for (Pipeline* pipeline = shard.first; pipeline != nullptr; pipeline = pipeline->later_) {
      if (pipeline->id() == id) return pipeline->handle();
    }
  }
  return std::nullopt;
}

void PipelineList::begin_walk() noexcept {
  for (Shard& shard : shards_) {
    const MutexLock lock(shard.mutex);
    shard.next = shard.first;
    shard.until = shard.last;
  }
  walked_ = 0;
}

std::optional<PipelineHandle> PipelineList::walk() noexcept {
  for (; walked_ < kShards; ++walked_) {
    Shard& shard = shards_[walked_];
    const MutexLock lock(shard.mutex);
    while (Pipeline* const pipeline = shard.next) {
      shard.next = pipeline == shard.until ? nullptr : pipeline->later_;
      if (pipeline->level() != Durability::Memory) return pipeline->handle();
    }
  }
  return std::nullopt;
}

}  // namespace leat
