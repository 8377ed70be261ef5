#include "job_executor.h"

#include <pthread.h>

#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <stop_token>

namespace leat::tools {
namespace {

using Json = nlohmann::json;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

ExecutionResult outcome(const Uuid& task, bool cancelled) {
  return cancelled ? ExecutionResult::failed(task, "ended early") : ExecutionResult::success(task);
}

nanoseconds scaled(const Json& ns, double scale) {
  const double value = std::round(ns.get<double>() * scale);
  constexpr double kLongest = 9.2e18;
  return nanoseconds(static_cast<std::int64_t>(std::fmin(value, kLongest)));
}

}  // namespace

SleepTimer::SleepTimer() : thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "leat-sleep");
}

SleepTimer::~SleepTimer() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::uint64_t SleepTimer::new_id() noexcept {
  const MutexLock lock(mutex_);
  return ++last_id_;
}

void SleepTimer::wake_after(std::uint64_t id, nanoseconds duration, Wake wake) {
  const Time now = steady_clock::now();
  const Time due = duration > Time::max() - now ? Time::max() : now + duration;
  bool first = false;
  {
    const MutexLock lock(mutex_);
    const auto added = sleeps_.emplace(std::pair(due, id), Sleep{.wake = std::move(wake)}).first;
    due_.emplace(id, due);
    first = added == sleeps_.begin();
  }
  if (first) changed_.notify_one();
}

void SleepTimer::cancel(std::uint64_t id) {
  {
    const MutexLock lock(mutex_);
    const auto due = due_.find(id);
    if (due == due_.end()) return;
    auto sleep = sleeps_.extract({due->second, id});
    sleep.mapped().cancelled = true;
    sleep.key().first = due->second = Time::min();
    sleeps_.insert(std::move(sleep));
  }
  changed_.notify_one();
}

void SleepTimer::run() {
  MutexLock lock(mutex_);
  while (!stopping_ || !sleeps_.empty()) {
    if (sleeps_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto [due, id] = sleeps_.begin()->first;
    if (!stopping_ && due > steady_clock::now()) {
      changed_.wait_until(lock, due);
      continue;
    }
    auto ended = sleeps_.extract(sleeps_.begin());
    due_.erase(id);
    const bool cancelled = ended.mapped().cancelled || (stopping_ && due > steady_clock::now());
    lock.unlock();
    ended.mapped().wake(cancelled);
    lock.lock();
  }
}

void JobExecutor::start(const TaskReadyEvent& event, CompletionToken token) {
  const std::string_view config = services().task_config(event);
  const Json json = Json::parse(config, nullptr, false);
  if (json.is_object()) {
    if (const auto ns = json.find("sleep_ns"); ns != json.end() && ns->is_number()) {
      return sleep(event, scaled(*ns, time_scale_), std::move(token));
    }
    if (const auto ns = json.find("busy_ns"); ns != json.end() && ns->is_number()) {
      return spin(event, scaled(*ns, time_scale_), std::move(token));
    }
  }
  processes_.start_with(event, config, std::move(token));
}

void JobExecutor::sleep(const TaskReadyEvent& event, nanoseconds duration, CompletionToken token) {
  const Uuid task = event.task_execution_id;
  if (duration.count() == 0) return token.complete(outcome(task, false));
  const std::uint64_t id = timer_.new_id();
  const std::stop_token stop = token.stop_token();
  token.on_cancel([this, id] { timer_.cancel(id); });
  timer_.wake_after(id, duration, [task, owned = std::move(token)](bool cancelled) mutable {
    owned.complete(outcome(task, cancelled));
  });
  if (stop.stop_requested()) timer_.cancel(id);  // the callback may have come before the sleep
}

void JobExecutor::spin(const TaskReadyEvent& event, nanoseconds duration, CompletionToken token) {
  const std::stop_token stop = token.stop_token();
  const auto end = steady_clock::now() + duration;
  while (steady_clock::now() < end && !stop.stop_requested()) {
  }
  token.complete(outcome(event.task_execution_id, steady_clock::now() < end));
}

}  // namespace leat::tools
