#include "continuations.h"

#include <exception>
#include <memory>
#include <string>

#include "lane_table.h"
#include "leat/pipeline_handle.h"
#include "pipeline.h"

namespace leat {

void Continuations::add(const Pipeline& pipeline, EndListener& listener) {
  MutexLock lock(mutex_);
  listeners_.emplace(&pipeline, &listener);
}

bool Continuations::remove(const Pipeline& pipeline, EndListener& listener) noexcept {
  MutexLock lock(mutex_);
  const auto [first, last] = listeners_.equal_range(&pipeline);
  for (auto found = first; found != last; ++found) {
    if (found->second != &listener) continue;
    listeners_.erase(found);
    return true;
  }
  return false;
}

std::vector<EndListener*> Continuations::take(const Pipeline& pipeline) {
  std::vector<EndListener*> taken;
  MutexLock lock(mutex_);
  const auto [first, last] = listeners_.equal_range(&pipeline);
  for (auto found = first; found != last; ++found) taken.push_back(found->second);
  listeners_.erase(first, last);
  return taken;
}

std::expected<Lane*, Error> Continuations::lane_of(std::string_view executor) const {
  MutexLock lock(mutex_);
  if (lanes_ == nullptr) return nullptr;
  if (Lane* const lane = lanes_->find_ever(executor)) return lane;
  return std::unexpected(
      Error{ErrorCode::NotFound, "executor key '" + std::string(executor.substr(0, 256)) +
                                     "' is not registered; registered are: " + lanes_->known_keys()});
}

void Continuations::go_on(Lane* lane, Resumption& resumption) noexcept {
  {
    MutexLock lock(mutex_);
    if (lanes_ != nullptr && lane != nullptr) return lane->carry_on(resumption);
  }
  resumption.resume();
}

void Continuations::close() noexcept {
  MutexLock lock(mutex_);
  lanes_ = nullptr;
}

namespace {

/// What then() was given; deletes itself.
class Continuation final : public EndListener, public Resumption {
 public:
  Continuation(PipelineHandle handle, PipelineHandle::Callback callback, Lane* lane)
      : handle_(std::move(handle)), callback_(std::move(callback)), lane_(lane) {}

  void ended() noexcept override { continuations().go_on(lane_, *this); }

  void resume() noexcept override {
    const std::unique_ptr<Continuation> self(this);
    try {
      callback_(handle_.wait(std::chrono::nanoseconds(0)));
    } catch (const std::exception& error) {
      complain(error.what());
    } catch (...) {
      complain("something that is not a std::exception");
    }
  }

 private:
  Continuations& continuations() const noexcept { return Pipeline::of(handle_).continuations(); }
  void complain(const char* what) const {
    continuations().log(Severity::Error, "a callback of then() for pipeline " + handle_.id().to_string() +
                                             " threw, and nobody is there to catch it: " + what);
  }

  const PipelineHandle handle_;  // keeps the pipeline
  const PipelineHandle::Callback callback_;
  Lane* const lane_;
};

}  // namespace

std::expected<void, Error> PipelineHandle::then(Callback callback, std::string_view executor) const {
  const auto lane = pipeline_->continuations().lane_of(executor);
  if (!lane) return std::unexpected(lane.error());
  auto* const continuation = new Continuation(*this, std::move(callback), *lane);  // deletes itself
  if (!pipeline_->listen(*continuation)) continuation->ended();
  return {};
}

bool PipelineHandle::Awaiter::await_ready() const noexcept {
  return handle_.pipeline_->over();
}

bool PipelineHandle::Awaiter::await_suspend(std::coroutine_handle<> coroutine) {
  const PipelineHandle handle = handle_;  // once it listens, the coroutine may go on, and this object be gone
  const auto taken = handle.then(
      [coroutine](const std::expected<PipelineResult, Error>&) { coroutine.resume(); }, executor_);
  if (taken) return true;
  refused_ = taken.error();
  return false;
}

std::expected<PipelineResult, Error> PipelineHandle::Awaiter::await_resume() const {
  if (refused_) return std::unexpected(*refused_);
  return handle_.wait(std::chrono::nanoseconds(0));
}

}  // namespace leat
