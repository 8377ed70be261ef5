#include "runner_state.h"

#include <pthread.h>

#include <algorithm>
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
      all_lent(parts.lent_threads),
      lent(parts.order),
      observer(parts.observer ? std::make_unique<ObserverFeed>(std::move(parts.observer),
                                                               std::move(*parts.observed), lent, log)
                              : nullptr),
      lent_committer(lent, *clock),
      journal(store == nullptr ? nullptr : std::make_unique<Journal>(*store, options_of(parts))),
      timers(lent),
      lent_timers(timers, *clock),
      stuck(*clock, timers, parts.stuck_after, log),
      completion(*clock, *rng, timers, stuck),
      lanes(*router, *clock, completion, lent, all_lent, workers, log),
      continuations(std::make_shared<Continuations>(lanes, log)),
      watchdog(lanes, *clock, parts.stall_after, log),
      lent_watch(watchdog, *clock),
      scheduler(*clock, *rng, timers, journal.get(), *names, *router, lanes, lent, continuations,
                {store.get(), parts.memory_budget,
                 [this](std::string_view line) { log(Severity::Error, line); }},
                parts.backlog_min),
      checkpointer(*clock, timers, store.get(), journal.get(), scheduler, parts.checkpoint, log),
      dispatcher(*router, lanes, scheduler) {}

Journal::Options RunnerState::options_of(const Runner::Builder::Parts& parts) {
  Journal::Options options = parts.journal;
  options.steady_ns = [this] { return clock->steady_ns(); };
  options.unix_ns = [this] { return clock->unix_ns(); };
  if (observer != nullptr) {
    options.tap = [this](std::uint64_t first, std::span<const std::byte> commit) {
      observer->committed(first, commit);
    };
  }
  options.committed = [this](std::uint64_t groups) {
    checkpointer.after_commit();
    scheduler.after_commit(groups);
  };
  if (all_lent) options.helper = &lent_committer;
  return options;
}

void RunnerState::start_threads() {
  if (all_lent) {
    if (journal != nullptr) lent_committer.lend(*journal);
    lent.add(lent_timers);
    if (observer != nullptr) lent.add(*observer);
    return lent.add(lent_watch);
  }
  if (observer != nullptr) observer->start();
  if (journal != nullptr) {
    committer_ = std::thread([this] {
      while (journal->wait_for_work()) journal->commit_some();
    });
    pthread_setname_np(committer_.native_handle(), "leat-committer");
  }
  timer_ = std::thread([this] {
    std::int64_t look_at = watchdog.look();
    std::optional<std::int64_t> due;
    while (timers.wait(std::min(due.value_or(look_at), look_at), clock->steady_ns())) {
      const std::int64_t now = clock->steady_ns();
      due = timers.fire(now);
      if (now >= look_at) look_at = watchdog.look();
    }
  });
  pthread_setname_np(timer_.native_handle(), "leat-timer");
}

void RunnerState::stop_threads() {
  timers.stop();
  if (timer_.joinable()) timer_.join();
  if (journal != nullptr) journal->stop();
  if (committer_.joinable()) committer_.join();
  if (all_lent && journal != nullptr) lent_committer.finish();
  if (observer != nullptr) observer->stop();
}

}  // namespace leat
