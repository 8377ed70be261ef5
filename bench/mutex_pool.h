// The thread pool that everybody writes first: a mutex, a condition variable and a deque of functions.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace leat::bench {

/// Shape: see TbbEnqueuePool.
template <class Job>
class MutexPool {
 public:
  explicit MutexPool(std::size_t workers) {
    for (std::size_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }
  ~MutexPool() {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    not_empty_.notify_all();
  }
  MutexPool(const MutexPool&) = delete;
  MutexPool& operator=(const MutexPool&) = delete;

  class Producer {
   public:
    explicit Producer(MutexPool& pool) : pool_(pool) {}
    void submit(const Job& job, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) pool_.push(job);
    }

   private:
    MutexPool& pool_;
  };

 private:
  void push(const Job& job) {
    {
      const std::scoped_lock lock(mutex_);
      queue_.emplace_back(job);
    }
    not_empty_.notify_one();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      not_empty_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const std::function<void()> function = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      function();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::deque<std::function<void()>> queue_;
  bool stop_ = false;
  std::vector<std::jthread> workers_;
};

}  // namespace leat::bench
