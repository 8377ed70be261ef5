#include "runner_state.h"

#include <pthread.h>

#include <utility>

namespace leat {

RunnerState::RunnerState(Runner::Builder::Parts parts, std::unique_ptr<NamespaceTable> names_given,
                         std::unique_ptr<Router> router_given, std::uint32_t workers)
    : clock(std::move(parts.clock)),
      rng(std::move(parts.rng)),
      log(std::move(parts.log)),
      store(std::move(parts.store)),
      names(std::move(names_given)),
      router(std::move(router_given)),
      journal(store == nullptr ? nullptr : std::make_unique<Journal>(*store, Journal::Options{})),
      completion(*clock, *rng, timers),
      lanes(*router, *clock, completion, workers, log),
      scheduler(*clock, *rng, timers, journal.get(), *names, *router, lanes),
      dispatcher(*router, lanes, scheduler) {}

void RunnerState::start_threads() {
  if (journal != nullptr) {
    committer_ = std::thread([this] {
      while (journal->wait_for_work()) journal->commit_some();
    });
    pthread_setname_np(committer_.native_handle(), "leat-committer");
  }
  timer_ = std::thread([this] {
    std::optional<std::int64_t> due;
    while (timers.wait(due, clock->steady_ns())) due = timers.fire(clock->steady_ns());
  });
  pthread_setname_np(timer_.native_handle(), "leat-timer");
}

void RunnerState::stop_threads() {
  timers.stop();
  if (timer_.joinable()) timer_.join();
  if (journal != nullptr) journal->stop();
  if (committer_.joinable()) committer_.join();
}

}  // namespace leat
