#include "observer_feed.h"

#include <pthread.h>

#include <chrono>
#include <exception>
#include <string>
#include <utility>

namespace leat {
namespace {

// How long stop() waits for an observer that is behind.
constexpr std::chrono::seconds kPatience{5};

ObservedTransition observed(const TransitionEvent& event) {
  return {.sequence = event.sequence,
          .time_ns = event.time_ns,
          .pipeline = event.pipeline->id,
          .task = event.workflow->name + "::" + event.workflow->tasks[event.task],
          .attempt = event.attempt,
          .from = event.from,
          .to = event.to,
          .executor = std::string(event.executor),
          .worker = event.worker,
          .dispatched_ns = event.dispatched_ns};
}

}  // namespace

ObserverFeed::ObserverFeed(Observer observer, StoreImage image, LentThreads& lent, Log log)
    : LentWork(Kind::Watch, "observer"),
      image_(std::move(image)),
      lent_(lent),
      shared_(std::make_shared<Shared>(std::move(observer), std::move(log))) {}

ObserverFeed::~ObserverFeed() {
  if (thread_.joinable()) stop();
}

void ObserverFeed::committed(std::uint64_t first_sequence, std::span<const std::byte> commit) {
  if (lost_) return;
  std::vector<ObservedTransition> transitions;
  const auto applied = image_.apply(
      first_sequence, commit, [&](const TransitionEvent& event) { transitions.push_back(observed(event)); });
  if (!applied) {
    lost_ = true;
    shared_->log(Severity::Error, "the observer hears nothing more: " + applied.error().message);
  }
  bool first_drop = false;
  {
    MutexLock lock(shared_->mutex);
    for (ObservedTransition& transition : transitions) {
      // Once something is dropped, all is until the observer has caught up: a gap is in one place.
      if (shared_->dropped > 0 || shared_->waiting.size() >= kWaitingMax) {
        first_drop |= shared_->dropped++ == 0;
      } else {
        shared_->waiting.push_back(std::move(transition));
      }
    }
  }
  shared_->changed.notify_one();
  lent_.ring();
  if (first_drop) shared_->log(Severity::Warning, "the observer is behind: transitions are dropped");
}

/// @return whether there was anything to tell
bool ObserverFeed::Shared::deliver() {
  MutexLock one(telling);
  std::vector<ObservedTransition> transitions;
  std::uint64_t left_out = 0;
  {
    MutexLock lock(mutex);
    transitions.swap(waiting);
    // What was dropped came after what waits: it is said of the next.
    if (transitions.empty()) left_out = std::exchange(dropped, 0);
  }
  if (transitions.empty() && left_out == 0) return false;
  try {
    observer({.transitions = transitions, .dropped = left_out});
  } catch (const std::exception& error) {
    log(Severity::Error, std::string("the observer threw: ") + error.what());
  } catch (...) {
    log(Severity::Error, "the observer threw something that is not a std::exception");
  }
  return true;
}

void ObserverFeed::start() {
  thread_ = std::thread([shared = shared_] {
    for (bool last = false; !last;) {
      {
        MutexLock lock(shared->mutex);
        while (!shared->stopped && shared->waiting.empty() && shared->dropped == 0)
          shared->changed.wait(lock);
        last = shared->stopped;
      }
      while (shared->deliver()) {
      }
    }
    MutexLock lock(shared->mutex);
    shared->over = true;
    shared->changed.notify_all();
  });
  pthread_setname_np(thread_.native_handle(), "leat-observer");
}

void ObserverFeed::stop() {
  if (!thread_.joinable()) {
    while (shared_->deliver()) {
    }
    return;
  }
  bool over = false;
  {
    MutexLock lock(shared_->mutex);
    shared_->stopped = true;
    shared_->changed.notify_all();
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!shared_->over && shared_->changed.wait_until(lock, deadline) == std::cv_status::no_timeout) {
    }
    over = shared_->over;
  }
  if (over) return thread_.join();
  shared_->log(Severity::Warning, "the observer did not come back in 5 s: its thread is given up");
  thread_.detach();
}

bool ObserverFeed::has_work() noexcept {
  MutexLock lock(shared_->mutex);
  return !shared_->waiting.empty() || shared_->dropped > 0;
}

std::size_t ObserverFeed::run(std::size_t) noexcept {
  return shared_->deliver() ? 1 : 0;
}

}  // namespace leat
