#include "bench_runner.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace leat::bench {

std::string_view backend_name(Backend backend) noexcept {
  return backend == Backend::Arena ? "arena" : "thread";
}

void give_up(std::string_view what, std::string_view why) {
  std::cerr << "leat: " << what << ": " << why << std::endl;
  std::abort();
}

BenchRunner::BenchRunner(const BenchRunnerOptions& options) {
  std::string url = "memory:";
  if (options.level != Durability::Memory) {
    store_.emplace();
    url = "rocksdb://" + (store_->path() / "leat.db").string();
  }
  runner_.emplace(take(Runner::builder()
                           .database_url(std::move(url))
                           .workers(options.workers)
                           .memory_budget(options.memory_budget)
                           .default_limits({.max_concurrent = options.workers,
                                            .max_queued = options.max_queued,
                                            .backend = options.backend,
                                            .idle = options.idle})
                           .build(),
                       "build"));
  take(runner_->start(), "start");
}

BenchRunner::~BenchRunner() {
  runner_.reset();  // before its store's directory goes
}

Namespace BenchRunner::register_task(TaskFunction function) {
  return take(runner_->register_task("public::bench::tasks::task", std::move(function)), "register_task");
}

void run_tasks(Runner& runner, Namespace task, std::size_t count, Durability level) {
  constexpr std::size_t kBulk = 1024;
  std::vector<TaskReadyEvent> bulk;
  for (std::size_t sent = 0; sent < count; sent += bulk.size()) {
    bulk.resize(std::min(kBulk, count - sent));
    runner.make_events(task, bulk);
    for (std::span<const TaskReadyEvent> rest = bulk; !rest.empty();) {
      const BulkResult result = runner.dispatcher().dispatch_bulk(rest, {.durability = level});
      rest = rest.subspan(result.taken);
      if (result.end) continue;
      if (result.end.error().code != DispatchErrorCode::NoCapacity) {
        give_up("dispatch_bulk", to_string(result.end.error().code));
      }
      std::this_thread::yield();
    }
  }
  take(runner.wait_idle(std::chrono::nanoseconds::max()), "wait_idle");
  if (level == Durability::Disk) take(runner.flush(), "flush");
}

}  // namespace leat::bench
