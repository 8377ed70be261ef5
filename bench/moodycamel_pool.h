// moodycamel's BlockingConcurrentQueue with tokens in front of plain threads: the raw queue that leat is
// compared to.
#pragma once

#include <blockingconcurrentqueue.h>

#include <array>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "cpu_pause.h"

namespace leat::bench {

/// What travels when the queue carries plain data: as many bytes as leat's event.
template <class Job>
struct FixedEvent {
  Job job{};
  bool stop = false;
  std::array<std::byte, 64 - sizeof(Job) - sizeof(Job*)> rest{};

  static FixedEvent make(const Job& job) { return {.job = job}; }
  static FixedEvent make_stop() { return {.stop = true}; }
  bool is_stop() const noexcept { return stop; }
  void run() const { job(); }
};

/// What travels when the queue carries any callable.
template <class Job>
struct FunctionEvent {
  std::function<void()> function;

  static FunctionEvent make(const Job& job) { return {.function = job}; }
  static FunctionEvent make_stop() { return {}; }
  bool is_stop() const noexcept { return !function; }
  void run() const { function(); }
};

enum class MoodycamelWait { Blocking, Spinning };

/// Shape: see TbbEnqueuePool.
template <class Job, template <class> class EventOf = FixedEvent,
          MoodycamelWait kWait = MoodycamelWait::Blocking>
class MoodycamelPool {
  using Event = EventOf<Job>;
  using Queue = moodycamel::BlockingConcurrentQueue<Event>;

 public:
  explicit MoodycamelPool(std::size_t workers) {
    for (std::size_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }
  ~MoodycamelPool() {
    for (std::size_t i = 0; i < workers_.size(); ++i) queue_.enqueue(Event::make_stop());
  }
  MoodycamelPool(const MoodycamelPool&) = delete;
  MoodycamelPool& operator=(const MoodycamelPool&) = delete;

  class Producer {
   public:
    explicit Producer(MoodycamelPool& pool) : queue_(pool.queue_), token_(pool.queue_) {}
    void submit(const Job& job, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) queue_.enqueue(token_, Event::make(job));
    }

   private:
    Queue& queue_;
    moodycamel::ProducerToken token_;
  };

 private:
  void work() {
    moodycamel::ConsumerToken token(queue_);
    for (Event event;;) {
      if constexpr (kWait == MoodycamelWait::Blocking) {
        queue_.wait_dequeue(token, event);
      } else {
        while (!queue_.try_dequeue(token, event)) cpu_pause();
      }
      if (event.is_stop()) return;
      event.run();
    }
  }

  Queue queue_;
  std::vector<std::jthread> workers_;
};

}  // namespace leat::bench
