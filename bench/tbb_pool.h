// oneTBB as a thread pool: task_arena::enqueue from outside, and task_group from inside.
#pragma once

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <cstddef>

namespace leat::bench {

/// Every peer pool has this shape: made with a number of workers; a Producer is one submitting thread's
/// access; submit(job, count) hands the job over that many times, one call of the peer's own for each.
template <class Job>
class TbbEnqueuePool {
 public:
  explicit TbbEnqueuePool(std::size_t workers)
      : threads_(tbb::global_control::max_allowed_parallelism, workers + 1),
        arena_(static_cast<int>(workers), /*reserved_for_masters=*/0) {
    arena_.initialize();
  }

  class Producer {
   public:
    explicit Producer(TbbEnqueuePool& pool) : arena_(pool.arena_) {}
    void submit(const Job& job, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) arena_.enqueue(job);
    }

   private:
    tbb::task_arena& arena_;
  };

 private:
  tbb::global_control threads_;
  tbb::task_arena arena_;
};

/// The producer enters the arena and helps while it waits, so its figures stand beside the others', not
/// against.
template <class Job>
class TbbTaskGroupPool {
 public:
  explicit TbbTaskGroupPool(std::size_t workers)
      : threads_(tbb::global_control::max_allowed_parallelism, workers + 1),
        arena_(static_cast<int>(workers) + kProducersMax, kProducersMax) {
    arena_.initialize();
  }

  class Producer {
   public:
    explicit Producer(TbbTaskGroupPool& pool) : arena_(pool.arena_) {}
    void submit(const Job& job, std::size_t count) {
      arena_.execute([&] {
        tbb::task_group group;
        for (std::size_t i = 0; i < count; ++i) group.run(job);
        group.wait();
      });
    }

   private:
    tbb::task_arena& arena_;
  };

 private:
  static constexpr unsigned kProducersMax = 2;
  tbb::global_control threads_;
  tbb::task_arena arena_;
};

}  // namespace leat::bench
