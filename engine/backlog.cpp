#include "backlog.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "pipeline.h"

namespace leat {

/// The place of the image is gone then.
Pipeline* Backlog::make_one(Images::iterator image) {
  Pipeline* const pipeline = make_(workflow_, std::move(image->second));
  images_.erase(image);
  return pipeline;
}

/// Until its turn.
void Backlog::keep(Pipeline& made) {
  made_.insert(std::ranges::upper_bound(made_, made.number(), {}, &Pipeline::number), &made);
}

std::optional<TaskReadyEvent> Backlog::next() noexcept {
  const MutexLock lock(mutex_);
  Pipeline* pipeline = nullptr;
  if (!made_.empty() && (images_.empty() || made_.front()->number() < images_.begin()->first)) {
    pipeline = made_.front();
    made_.pop_front();
  } else if (!images_.empty()) {
    pipeline = make_one(images_.begin());
  }
  if (pipeline == nullptr) return std::nullopt;
  return pipeline->event_of(workflow_->workflow.roots().front());  // it stays outstanding until it is run
}

std::optional<std::size_t> Backlog::place_of(const TaskReadyEvent& event) const {
  const MutexLock lock(mutex_);
  const auto made =
      std::ranges::find(made_, event.origin, [](Pipeline* each) { return static_cast<void*>(each); });
  if (made == made_.end()) return std::nullopt;
  return static_cast<std::size_t>(std::distance(made_.begin(), made) +
                                  std::distance(images_.begin(), images_.lower_bound((*made)->number())));
}

void Backlog::make_all() {
  const MutexLock lock(mutex_);
  while (!images_.empty()) {
    if (Pipeline* const pipeline = make_one(images_.begin())) keep(*pipeline);
  }
}

std::optional<PipelineHandle> Backlog::make(const Uuid& id) {
  const MutexLock lock(mutex_);
  const auto image = std::ranges::find(images_, id, [](const auto& entry) { return entry.second.id; });
  Pipeline* const pipeline = image == images_.end() ? nullptr : make_one(image);
  if (pipeline == nullptr) return std::nullopt;
  keep(*pipeline);
  return pipeline->handle();
}

std::optional<std::uint64_t> Backlog::look(std::uint64_t from,
                                           const std::function<void(const PipelineImage&)>& use) const {
  const MutexLock lock(mutex_);
  const auto image = images_.lower_bound(from);
  if (image == images_.end()) return std::nullopt;
  use(image->second);
  return image->first;
}

void Backlog::close() noexcept {
  Images images;
  const MutexLock lock(mutex_);
  images.swap(images_);
  made_.clear();
}

}  // namespace leat
