// The signals of one pipeline: which have come, and which coroutines wait for one. Knows them by number,
// nothing of tasks that are gated by them, and nothing of the journal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "leat_locks/mutex.h"

namespace leat {

/// Told once that a signal has come, by the thread that commits it, which must not be kept.
class SignalListener {
 public:
  virtual void signalled() noexcept = 0;

 protected:
  ~SignalListener() = default;
};

/// A signal comes in two steps: the pipeline's step takes it, and its commit tells of it, so that nobody acts
/// on what a crash may still take back.
///
/// Thread-safety: value(), take() and what is public in data: the pipeline's step, and who was released by
///   it. The rest: any number of threads; a mutex, since only pipelines whose workflow declares signals have
///   one of these.
/// Invariant: a value never changes once it is there.
class Signals {
 public:
  using Value = std::shared_ptr<const std::string>;  ///< JSON text; null: it has not come

  explicit Signals(std::size_t count) : values_(count), told_(count), begun_(count) {}

  const Value& value(std::uint32_t signal) const noexcept { return values_[signal]; }
  void take(std::uint32_t signal, Value value) noexcept { values_[signal] = std::move(value); }

  /// What was taken is at the pipeline's level.
  void tell(std::uint32_t signal) noexcept {
    std::vector<Waiting> waiting;
    {
      MutexLock lock(mutex_);
      told_[signal] = values_[signal];
      begun_[signal] = true;
      for (std::size_t i = 0; i < waiting_.size();) {
        if (waiting_[i].signal != signal) {
          ++i;
          continue;
        }
        waiting.push_back(waiting_[i]);
        waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    for (const Waiting& one : waiting) one.listener->signalled();
  }
  Value told(std::uint32_t signal) const {
    MutexLock lock(mutex_);
    return told_[signal];
  }

  /// @param task  that waits. @return false: the signal has come already; the listener was not taken
  bool listen(std::uint32_t signal, std::uint32_t task, SignalListener& listener) {
    MutexLock lock(mutex_);
    if (told_[signal] != nullptr) return false;
    waiting_.push_back({signal, task, &listener});
    return true;
  }
  /// @return false: it is being told, or was
  bool mute(SignalListener& listener) noexcept {
    MutexLock lock(mutex_);
    return std::erase_if(waiting_, [&](const Waiting& one) { return one.listener == &listener; }) > 0;
  }
  /// The signal that a task's coroutine waits for.
  std::optional<std::uint32_t> awaited_by(std::uint32_t task) const {
    MutexLock lock(mutex_);
    for (const Waiting& one : waiting_) {
      if (one.task == task) return one.signal;
    }
    return std::nullopt;
  }

  /// Of a signal that is a child's end. @return false: it has been begun, or its end has come
  bool begin_child(std::uint32_t signal) {
    MutexLock lock(mutex_);
    if (begun_[signal]) return false;
    return begun_[signal] = true;
  }
  /// It could not be begun.
  void forget_child(std::uint32_t signal) {
    MutexLock lock(mutex_);
    begun_[signal] = false;
  }
  /// Whether it has been begun, and its end has not come.
  bool awaits_child(std::uint32_t signal) const {
    MutexLock lock(mutex_);
    return begun_[signal] && told_[signal] == nullptr;
  }

  std::int64_t start_at_ns = 0;  ///< Unix time before which no task begins; 0: none
  std::size_t bytes = 0;         ///< of all values

 private:
  struct Waiting {
    std::uint32_t signal;
    std::uint32_t task;
    SignalListener* listener;
  };

  std::vector<Value> values_;
  mutable Mutex mutex_;
  std::vector<Value> told_ LEAT_GUARDED_BY(mutex_);
  std::vector<bool> begun_ LEAT_GUARDED_BY(mutex_);       // children; those that were told of count as begun
  std::vector<Waiting> waiting_ LEAT_GUARDED_BY(mutex_);  // few
};

}  // namespace leat
