#include "pipelines_out.h"

#include "pipeline.h"

namespace leat {

void PipelinesOut::add(Pipeline& pipeline, const Place& place) {
  const MutexLock lock(mutex_);
  out_.emplace(pipeline.number(), Entry{&pipeline, place});
}

Pipeline* PipelinesOut::take(std::uint64_t number) noexcept {
  const MutexLock lock(mutex_);
  const auto found = out_.find(number);
  if (found == out_.end() || !found->second.pipeline->come_back()) return nullptr;
  Pipeline* const pipeline = found->second.pipeline;
  out_.erase(found);
  return pipeline;
}

std::vector<Pipeline*> PipelinesOut::take_all() {
  const MutexLock lock(mutex_);
  std::vector<Pipeline*> all;
  std::erase_if(out_, [&all](const auto& entry) {
    const bool came = entry.second.pipeline->come_back();
    if (came) all.push_back(entry.second.pipeline);
    return came;
  });
  return all;
}

std::optional<PipelinesOut::Place> PipelinesOut::place_of(const Pipeline& pipeline) const {
  const MutexLock lock(mutex_);
  const auto found = out_.find(pipeline.number());
  if (found == out_.end() || found->second.pipeline != &pipeline) return std::nullopt;
  return found->second.place;
}

void PipelinesOut::remove(const Pipeline& pipeline) noexcept {
  const MutexLock lock(mutex_);
  const auto found = out_.find(pipeline.number());
  if (found != out_.end() && found->second.pipeline == &pipeline) out_.erase(found);
}

}  // namespace leat
