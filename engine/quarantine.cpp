#include "quarantine.h"

#include <limits>

#include "leat/checkpoint.h"

namespace leat {

void Quarantine::remember(const QuarantineImages& images) {
  const MutexLock lock(mutex_);
  tasks_ = images;
}

void Quarantine::add(const Uuid& pipeline, std::uint32_t task, QuarantineImage image) {
  const MutexLock lock(mutex_);
  leat::add(tasks_, pipeline, task, std::move(image));
}

std::vector<QuarantinedTask> Quarantine::list(const std::optional<Uuid>& after, std::size_t count_max) const {
  std::vector<QuarantinedTask> page;
  const MutexLock lock(mutex_);
  auto next =
      after ? tasks_.upper_bound({*after, std::numeric_limits<std::uint32_t>::max()}) : tasks_.begin();
  for (; next != tasks_.end(); ++next) {
    const auto& [place, image] = *next;
    if (page.size() >= count_max && (page.empty() || page.back().pipeline != place.first)) break;
    page.push_back({.pipeline = place.first,
                    .task = image.task,
                    .attempt = image.attempt,
                    .rescues = image.rescues,
                    .since_ns = image.since_ns,
                    .error = image.error});
  }
  return page;
}

std::optional<std::uint32_t> Quarantine::find(const Uuid& pipeline, std::string_view task) const {
  const MutexLock lock(mutex_);
  for (auto next = tasks_.lower_bound({pipeline, 0}); next != tasks_.end() && next->first.first == pipeline;
       ++next) {
    const std::string_view name = next->second.task;
    if (name == task || name.substr(name.rfind("::") + 2) == task) return next->first.second;
  }
  return std::nullopt;
}

bool Quarantine::take(const Uuid& pipeline, std::uint32_t task, const std::function<bool()>& publish) {
  const MutexLock lock(mutex_);
  const auto found = tasks_.find({pipeline, task});
  if (found == tasks_.end() || !publish()) return false;
  tasks_.erase(found);
  return true;
}

bool Quarantine::keep(std::optional<std::pair<Uuid, std::uint32_t>>& last, std::uint64_t generation,
                      const std::function<void(TransitionGroup&&)>& publish) const {
  const MutexLock lock(mutex_);
  const auto next = last ? tasks_.upper_bound(*last) : tasks_.begin();
  if (next == tasks_.end()) return false;
  const auto& [place, image] = *next;
  publish(make_row(QuarantineKept{.generation = generation,
                                  .pipeline = place.first,
                                  .task = place.second,
                                  .name = image.task,
                                  .attempt = image.attempt,
                                  .rescues = image.rescues,
                                  .since_ns = image.since_ns,
                                  .error = image.error}));
  last = place;
  return true;
}

}  // namespace leat
