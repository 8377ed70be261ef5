// One worker and one cell: the least that hands a job to another thread. The floor for latencies.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "cpu_pause.h"

namespace leat::bench {

enum class MailboxWait { Park, Spin };

/// Shape: see TbbEnqueuePool; one worker, one producer, and a job is only submitted when the last one has
/// run.
///
/// The cell counts jobs: the producer adds one, the worker waits for the number it has not seen.
template <class Job, MailboxWait kWait>
class FutexMailbox {
 public:
  explicit FutexMailbox(std::size_t /*workers*/) : worker_([this] { work(); }) {}
  ~FutexMailbox() { post(kStop); }
  FutexMailbox(const FutexMailbox&) = delete;
  FutexMailbox& operator=(const FutexMailbox&) = delete;

  class Producer {
   public:
    explicit Producer(FutexMailbox& mailbox) : mailbox_(mailbox) {}
    void submit(const Job& job, std::size_t /*count*/) {
      mailbox_.job_ = job;
      mailbox_.post(1);
    }

   private:
    FutexMailbox& mailbox_;
  };

 private:
  static constexpr std::uint32_t kStop = std::uint32_t{1} << 31;

  void post(std::uint32_t step) noexcept {
    cell_.fetch_add(step, std::memory_order_release);  // (1) release: publishes job_; pairs with (2)
    if constexpr (kWait == MailboxWait::Park) {
      syscall(SYS_futex, &cell_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  }

  void work() {
    for (std::uint32_t seen = 0;;) {
      std::uint32_t now = cell_.load(std::memory_order_acquire);  // (2) acquire: pairs with the release (1)
      for (; now == seen; now = cell_.load(std::memory_order_acquire)) {
        if constexpr (kWait == MailboxWait::Park) {
          syscall(SYS_futex, &cell_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
        } else {
          cpu_pause();
        }
      }
      if (now >= kStop) return;
      seen = now;
      job_();
    }
  }

  alignas(64) std::atomic<std::uint32_t> cell_{0};
  Job job_{};
  std::jthread worker_;
};

}  // namespace leat::bench
