#include "bench_runner.h"

#include <cstdlib>
#include <iostream>
#include <utility>

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

}  // namespace leat::bench
