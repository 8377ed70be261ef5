#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "cpus.h"
#include "crash_traces.h"
#include "leat/store_recovery.h"
#include "leat/thread_executor.h"
#include "recovery_log.h"
#include "runner_state.h"
#include "store_failure.h"

namespace leat {
namespace {

constexpr std::string_view kSchemes = "rocksdb:///absolute/path, rocksdb://./relative/path, memory:";

/// @return the store; null for `memory:`
std::expected<std::unique_ptr<StateStore>, Error> open_url(std::string_view url,
                                                           const RecoveryLog::Log& log) {
  constexpr std::string_view kRocks = "rocksdb://";
  if (url == "memory:") return nullptr;
  if (!url.starts_with(kRocks) || url.size() == kRocks.size()) {
    return std::unexpected(
        Error{ErrorCode::InvalidArgument, fmt::format("database_url '{}': accepted are {}", url, kSchemes)});
  }
  const auto torn = [&log](std::string_view line) { log(Severity::Warning, line); };
  auto store = open_rocksdb_store(std::string(url.substr(kRocks.size())), {}, torn);
  if (!store) return std::unexpected(to_error(store.error()));
  return std::move(*store);
}

void log_to_stderr(Severity severity, std::string_view line) {
  if (severity == Severity::Info) return;
  // One write, so that lines of threads do not mix.
  const std::string whole = fmt::format("leat: {}\n", line);
  std::fwrite(whole.data(), 1, whole.size(), stderr);
}

}  // namespace

Runner::Builder::Builder() : parts_(std::make_unique<Parts>()) {}
Runner::Builder::Builder(Builder&&) noexcept = default;
Runner::Builder::~Builder() = default;

Runner::Builder& Runner::Builder::database_url(std::string url) {
  parts_->url = std::move(url);
  return *this;
}

Runner::Builder& Runner::Builder::routing_config(RoutingConfig config) {
  parts_->routing = std::move(config);
  return *this;
}

Runner::Builder& Runner::Builder::register_executor(std::string key, std::shared_ptr<TaskExecutor> executor,
                                                    ExecutorLimits limits) {
  parts_->executors.push_back({std::move(key), std::move(executor), std::move(limits)});
  return *this;
}

Runner::Builder& Runner::Builder::default_limits(ExecutorLimits limits) {
  parts_->default_limits = std::move(limits);
  return *this;
}

Runner::Builder& Runner::Builder::tenant_weight(std::string tenant, std::uint32_t weight) {
  parts_->tenant_weights.emplace_back(std::move(tenant), weight);
  return *this;
}

Runner::Builder& Runner::Builder::workers(std::uint32_t count) {
  parts_->workers = count;
  return *this;
}

Runner::Builder& Runner::Builder::lent_threads() {
  parts_->lent_threads = true;
  return *this;
}

Runner::Builder& Runner::Builder::clock(std::shared_ptr<Clock> clock) {
  parts_->clock = std::move(clock);
  return *this;
}

Runner::Builder& Runner::Builder::rng(std::shared_ptr<Rng> rng) {
  parts_->rng = std::move(rng);
  return *this;
}

Runner::Builder& Runner::Builder::state_store(std::unique_ptr<StateStore> store) {
  parts_->store = std::move(store);
  return *this;
}

Runner::Builder& Runner::Builder::retain_events(Retention limits) {
  parts_->events = limits;
  return *this;
}

Runner::Builder& Runner::Builder::retain_history(Retention limits) {
  parts_->history = limits;
  return *this;
}

Runner::Builder& Runner::Builder::checkpoint_after(std::uint64_t journal_bytes) {
  parts_->checkpoint.journal_bytes = journal_bytes;
  return *this;
}

Runner::Builder& Runner::Builder::memory_budget(std::uint64_t bytes) {
  parts_->memory_budget = bytes;
  return *this;
}

Runner::Builder& Runner::Builder::observer(Observer observer) {
  parts_->observer = std::move(observer);
  return *this;
}

Runner::Builder& Runner::Builder::log_sink(std::function<void(Severity, std::string_view)> sink) {
  parts_->log = std::move(sink);
  return *this;
}

Runner::Builder& Runner::Builder::stall_warning(std::chrono::nanoseconds after) {
  parts_->stall_after = after;
  return *this;
}

Runner::Builder& Runner::Builder::stuck_warning(std::chrono::nanoseconds after) {
  parts_->stuck_after = after;
  return *this;
}

namespace {

/// Hands on what the store held. Children of a process that died are ended first.
std::expected<void, Error> remember(RunnerState& state, StoreImage&& image, RecoveryLog& recovery) {
  InFlightBoard* const board = state.store->board();
  const std::size_t orphans = board == nullptr ? 0 : end_orphans(*board);
  if (orphans > 0) {
    state.log(Severity::Warning,
              fmt::format("{} child process(es) outlived a killed process; ended now", orphans));
  }
  state.checkpointer.remember(image.folded_bytes());
  const Recovered found = count_recovered(image, board, state.store->closed_cleanly());
  state.scheduler.remember(std::move(image), board, state.store->closed_cleanly());
  if (auto waiting = state.scheduler.waiting().remember(); !waiting)
    return std::unexpected(to_error(waiting.error()));
  if (state.store->epoch() > 1) recovery.end(found);
  return {};
}

}  // namespace

std::expected<Runner, Error> Runner::Builder::build() {
  Parts parts = std::move(*parts_);
  *parts_ = Parts();
  if (parts.clock == nullptr) parts.clock = make_system_clock();
  if (parts.rng == nullptr) parts.rng = make_system_rng();
  if (parts.log == nullptr) parts.log = &log_to_stderr;
  auto names = std::make_unique<NamespaceTable>();
  auto router = Router::make(parts.routing, *names);
  if (!router) return std::unexpected(Error{ErrorCode::InvalidArgument, std::move(router.error().message)});
  RecoveryLog recovery(*parts.clock, parts.log);
  if (parts.store == nullptr) {
    auto store = open_url(parts.url, parts.log);
    if (!store) return std::unexpected(std::move(store.error()));
    parts.store = std::move(*store);
  }
  StoreImage image(StoreImage::Keep::Unfinished);
  if (parts.store == nullptr && parts.observer) {
    return std::unexpected(
        Error{ErrorCode::InvalidArgument, "observer: nothing is committed with memory: (accepted: a store)"});
  }
  if (parts.memory_budget != 0 && (parts.store == nullptr || !parts.store->keeps_waiting())) {
    return std::unexpected(
        Error{ErrorCode::InvalidArgument,
              "memory_budget: nothing can wait in this store (accepted: a RocksDB store)"});
  }
  if (parts.store != nullptr) {
    auto recovered =
        recover_unfinished(*parts.store, [&recovery](const RecoveryProgress& now) { recovery.look(now); });
    if (!recovered) return std::unexpected(to_error(recovered.error()));
    image = std::move(*recovered);
    if (parts.observer) {
      auto observed = recover_unfinished(*parts.store);  // an image of its own
      if (!observed) return std::unexpected(to_error(observed.error()));
      parts.observed = std::move(*observed);
    }
    if (parts.events) parts.store->retain_events(*parts.events);
    parts.store->retain_history(parts.history);
  }
  std::vector<Parts::Executor> executors = std::move(parts.executors);
  const bool has_default =
      std::ranges::any_of(executors, [](const auto& entry) { return entry.key == "default"; });
  if (!has_default) {
    executors.insert(executors.begin(),
                     {"default", std::make_shared<ThreadTaskExecutor>(), parts.default_limits});
  }
  const std::uint32_t workers = parts.workers > 0 ? parts.workers : usable_cpus();
  const auto tenant_weights = std::move(parts.tenant_weights);
  auto state = std::make_unique<RunnerState>(std::move(parts), std::move(names), std::move(*router), workers);
  if (state->store != nullptr) {
    if (auto remembered = remember(*state, std::move(image), recovery); !remembered)
      return std::unexpected(std::move(remembered.error()));
  }
  Runner runner(std::move(state));
  for (const auto& [tenant, weight] : tenant_weights) {
    if (auto set = runner.set_tenant_weight(tenant, weight); !set)
      return std::unexpected(std::move(set.error()));
  }
  for (auto& entry : executors) {
    auto registered = runner.register_executor(entry.key, std::move(entry.executor), entry.limits);
    if (!registered) return std::unexpected(std::move(registered.error()));
  }
  return runner;
}

}  // namespace leat
