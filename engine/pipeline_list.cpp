#include <vector>

#include "pipeline.h"

namespace leat {

void PipelineList::add(Pipeline& pipeline) noexcept {
  pipeline.earlier_ = last_;
  (last_ == nullptr ? first_ : last_->later_) = &pipeline;
  last_ = &pipeline;
}

void PipelineList::remove(Pipeline& pipeline) noexcept {
  if (pipeline.earlier_ == nullptr && first_ != &pipeline) return;
  if (next_ == &pipeline) next_ = until_ == &pipeline ? nullptr : pipeline.later_;
  if (until_ == &pipeline) until_ = pipeline.earlier_;
  (pipeline.earlier_ == nullptr ? first_ : pipeline.earlier_->later_) = pipeline.later_;
  (pipeline.later_ == nullptr ? last_ : pipeline.later_->earlier_) = pipeline.earlier_;
  pipeline.earlier_ = pipeline.later_ = nullptr;
}

std::vector<PipelineHandle> PipelineList::all() const {
  std::vector<PipelineHandle> pipelines;
  for (Pipeline* pipeline = first_; pipeline != nullptr; pipeline = pipeline->later_) {
    pipelines.push_back(pipeline->handle());
  }
  return pipelines;
}

void PipelineList::begin_walk() noexcept {
  next_ = first_;
  until_ = last_;
}

Pipeline* PipelineList::walk() noexcept {
  Pipeline* const pipeline = next_;
  if (pipeline != nullptr) next_ = pipeline == until_ ? nullptr : pipeline->later_;
  return pipeline;
}

}  // namespace leat
