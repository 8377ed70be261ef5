// Dispatching tasks and running them takes no memory, once the queues have grown. Every way to the heap leads
// through malloc, which this program counts.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define LEAT_COUNTS_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define LEAT_COUNTS_MALLOC 0
#endif
#endif
#ifndef LEAT_COUNTS_MALLOC
#define LEAT_COUNTS_MALLOC 1
#endif

namespace {
std::atomic<bool> counting = false;
std::atomic<std::uint64_t> allocations = 0;
}  // namespace

#if LEAT_COUNTS_MALLOC
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

static void count() noexcept {
  if (counting.load(std::memory_order_relaxed))
    allocations.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
}
void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) {
  count();
  return __libc_calloc(number, size);
}
void* realloc(void* block, std::size_t size) {
  count();
  return __libc_realloc(block, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  count();
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}
}
#endif

namespace leat {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTasks = 1'000'000;
constexpr int kRoundsMax = 8;

class Allocations : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (!LEAT_COUNTS_MALLOC) GTEST_SKIP() << "malloc belongs to the sanitizer, or is not glibc's";
    auto built = Runner::builder()
                     .database_url("memory:")
                     .default_limits({.max_concurrent = 2, .max_queued = 4096, .backend = GetParam()})
                     .workers(2)
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    task_ = *runner_->register_task("t::p::w::task", [this](TaskContext&) {
      held_.wait(true);
      ++ran_;
    });
    ASSERT_TRUE(runner_->start());
  }

  /// Fills the lane to its limit once, so that its queue has all the memory that it will ever need.
  void warm() {
    held_ = true;
    while (runner_->dispatcher().dispatch(runner_->make_event(task_), {.durability = Durability::Memory})) {
    }
    held_ = false;
    held_.notify_all();
    ASSERT_TRUE(runner_->wait_idle(30s));
  }

  /// Dispatches kTasks tasks `bulk` at a time, and waits for their end. @return the allocations meanwhile
  std::uint64_t allocations_of(std::size_t bulk) {
    std::vector<TaskReadyEvent> events(bulk);
    const std::uint64_t end = ran_ + kTasks;
    allocations = 0;
    counting = true;
    for (std::uint64_t left = kTasks; left > 0;) {
      const std::size_t count = std::min<std::uint64_t>(bulk, left);
      for (std::size_t i = 0; i < count; ++i) events[i] = runner_->make_event(task_);
      const BulkResult result = runner_->dispatcher().dispatch_bulk(std::span(events).first(count),
                                                                    {.durability = Durability::Memory});
      left -= result.taken;
      if (!result.end) std::this_thread::yield();
    }
    EXPECT_TRUE(eventually([&] { return ran_ == end; }));
    counting = false;
    return allocations;
  }

  std::optional<Runner> runner_;
  Namespace task_;
  std::atomic<bool> held_ = false;
  std::atomic<std::uint64_t> ran_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Backends, Allocations, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

TEST_P(Allocations, AreCounted) {
  counting = true;
  allocations = 0;
  const auto pointer = std::make_unique<int>(7);
  counting = false;
  EXPECT_EQ(allocations, 1U) << *pointer;
}

TEST_P(Allocations, NoneForADispatchedTaskOnceWarm) {
  warm();
  for (const std::size_t bulk : {1, 64}) {
    allocations_of(bulk);
    std::uint64_t least = kTasks;
    for (int round = 0; round < kRoundsMax && least > 0; ++round) {
      const std::uint64_t taken = allocations_of(bulk);
      least = std::min(least, taken);
      // The queue takes one block for 128 tasks while a worker is preempted just as it leaves an old block;
      // oneTBB takes memory for a drain, one for each time that an idle lane gets work. Never is it one for
      // each task.
      EXPECT_LT(taken, kTasks / 64) << "bulk " << bulk;
      if (GetParam() == Backend::Arena && round > 0) break;  // oneTBB's own may never be none
    }
    if (GetParam() == Backend::Threads) {
      EXPECT_EQ(least, 0U) << "bulk " << bulk;
    }
  }
}

}  // namespace
}  // namespace leat
