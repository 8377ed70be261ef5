// A started Runner for a benchmark. Whatever goes wrong ends the process: a figure from a broken engine is
// worse than none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "leat/durability.h"
#include "leat/runner.h"
#include "temporary_directory.h"

namespace leat::bench {

/// "thread" or "arena", as the rows' names have it.
std::string_view backend_name(Backend backend) noexcept;

struct BenchRunnerOptions {
  Durability level = Durability::Memory;  ///< the highest that is asked for; Memory: without a store
  std::uint32_t workers = 2;
  std::uint32_t max_queued = 1024;
  Backend backend = ExecutorLimits{}.backend;
  IdlePolicy idle = ExecutorLimits{}.idle;
  std::uint64_t memory_budget = 0;  ///< see Runner::Builder::memory_budget(); above level Memory only
};

/// A Runner whose "default" executor has the given limits, over a fresh store.
class BenchRunner {
 public:
  explicit BenchRunner(const BenchRunnerOptions& options);
  ~BenchRunner();

  Runner& operator*() noexcept { return *runner_; }
  Runner* operator->() noexcept { return &*runner_; }

  /// Registers a task that is dispatched alone.
  Namespace register_task(TaskFunction function);

 private:
  std::optional<TemporaryDirectory> store_;  // outlives the Runner
  std::optional<Runner> runner_;
};

/// Dispatches tasks alone, in bulks, and waits until all have ended, at level `disk` durably.
void run_tasks(Runner& runner, Namespace task, std::size_t count, Durability level);

/// Prints the message and ends the process.
[[noreturn]] void give_up(std::string_view what, std::string_view why);

/// @return the value; gives up where there is none
template <class T, class E>
T take(std::expected<T, E> result, std::string_view what) {
  if (!result) give_up(what, result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace leat::bench
