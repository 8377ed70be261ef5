#include "session.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "retention_text.h"
#include "signal_watch.h"

namespace leat::tools {
namespace {

/// How long running tasks may go on after a signal; then they are
/// interrupted, and start anew at the next resume.
constexpr std::chrono::seconds kStopDeadline{5};

std::string database_url(const std::string& store) {
  return store.empty() ? "memory:" : "rocksdb://" + std::filesystem::absolute(store).string();
}

/// @return  what is not text of a limit, as parse_retention() says it; empty: all is
std::string set_retention(Runner::Builder& builder, const RunSettings& settings) {
  constexpr std::uint64_t kRoundsInLimit = 8;
  constexpr std::uint64_t kRoundBytesMin = std::uint64_t{1} << 20;
  constexpr std::uint64_t kRoundBytesMax = std::uint64_t{64} << 20;
  if (!settings.keep_events.empty()) {
    const auto limits = parse_retention(settings.keep_events);
    if (!limits) return limits.error();
    builder.retain_events(*limits);
    // Events go when the journal has grown by a round: a few of them in a limit of bytes.
    if (limits->bytes) {
      builder.checkpoint_after(std::clamp(*limits->bytes / kRoundsInLimit, kRoundBytesMin, kRoundBytesMax));
    }
  }
  if (!settings.keep_history.empty()) {
    const auto limits = parse_retention(settings.keep_history);
    if (!limits) return limits.error();
    builder.retain_history(*limits);
  }
  return {};
}

}  // namespace

std::expected<std::unique_ptr<Session>, Failure> Session::open(const RunSettings& settings,
                                                               const std::string& store, Severity shown) {
  std::unique_ptr<Session> session(new Session(settings.time_scale));
  const auto job_executor = [&session] {
    return std::make_shared<JobExecutor>(session->timer_, session->processes_, session->time_scale_);
  };
  Runner::Builder builder = Runner::builder();
  builder.database_url(database_url(store)).routing_config(settings.routing).workers(settings.workers);
  builder.log_sink([shown](Severity severity, std::string_view line) {
    if (severity >= shown) fmt::print(stderr, "leat: {}\n", line);
  });
  if (std::string wrong = set_retention(builder, settings); !wrong.empty()) {
    return std::unexpected(Failure{kBadInput, std::move(wrong)});
  }
  bool default_given = false;
  for (const ExecutorPlan& plan : settings.executors) {
    default_given = default_given || plan.key == "default";
    builder.register_executor(plan.key, job_executor(),
                              {.max_concurrent = plan.max_concurrent, .max_queued = plan.max_queued});
  }
  if (!default_given) builder.register_executor("default", job_executor());
  auto runner = builder.build();
  if (!runner) return std::unexpected(opening_failure(runner.error()));
  session->runner_ = std::make_unique<Runner>(std::move(*runner));
  return session;
}

SessionOutcome Session::finish(std::vector<SessionPipeline> pipelines,
                               std::chrono::steady_clock::time_point started) {
  SessionOutcome outcome;
  {
    const SignalWatch signals([this](int signal) {
      fmt::print(stderr, "leat: {}: stopping; running tasks have {} s to end, `leat resume` carries on\n",
                 ::sigdescr_np(signal), kStopDeadline.count());
      (void)runner_->stop(kStopDeadline);
    });
    wait(pipelines, outcome);
    outcome.signal = signals.received();
  }
  outcome.report.duration = std::chrono::steady_clock::now() - started;
  for (const std::string& key : runner_->executor_keys())
    outcome.report.executors[key] = runner_->metrics(key);
  const auto healthy = runner_->health();
  const auto stopped = runner_->stop(kStopDeadline);
  if (!healthy) {
    outcome.store_error = healthy.error().message;
  } else if (!stopped && stopped.error().code != ErrorCode::Stopped) {
    outcome.store_error = stopped.error().message;
  }
  return outcome;
}

void Session::wait(std::vector<SessionPipeline>& pipelines, SessionOutcome& outcome) {
  Progress progress;
  ProgressFigures figures{.pipelines = pipelines.size()};
  for (const SessionPipeline& pipeline : pipelines) figures.tasks += pipeline.tasks;
  for (SessionPipeline& pipeline : pipelines) {
    auto result = pipeline.handle.wait(progress.interval());
    for (; !result && result.error().code == ErrorCode::Timeout;
         result = pipeline.handle.wait(progress.interval())) {
      show_progress(progress, figures);
    }
    PipelineResult ended;
    if (result) {
      ended = std::move(*result);
    } else {
      ended.state = pipeline.handle.state();
      for (const TaskState task : pipeline.handle.task_states()) {
        ended.completed += task == TaskState::Completed;
        ended.failed += task == TaskState::Failed;
        ended.skipped += task == TaskState::Skipped;
      }
      ended.error = result.error().message;
    }
    outcome.report.pipelines.push_back({.id = pipeline.handle.id().to_string(),
                                        .workflow = std::move(pipeline.workflow),
                                        .tasks = pipeline.tasks,
                                        .result = std::move(ended)});
    ++figures.pipelines_ended;
  }
}

void Session::show_progress(Progress& progress, ProgressFigures figures) const {
  for (const std::string& key : runner_->executor_keys()) {
    const ExecutorMetrics metrics = runner_->metrics(key);
    figures.tasks_ended += metrics.total_executed - std::min(metrics.total_retried, metrics.total_executed);
    figures.tasks_failed += metrics.total_failed;
  }
  progress.show(figures);
}

std::expected<void, Failure> enter_directory(const RunSettings& settings) {
  std::error_code error;
  std::filesystem::current_path(settings.directory, error);
  if (!error) return {};
  return std::unexpected(
      Failure{kBadInput, fmt::format("{}: {} (accepted: the directory in which the run was begun)",
                                     settings.directory, error.message())});
}

int conclude(const SessionOutcome& outcome, bool json) {
  json ? print_json(outcome.report) : print_tables(outcome.report);
  if (!outcome.store_error.empty()) return fail({kStoreFailure, outcome.store_error});
  if (outcome.report.count(PipelineState::Completed) == outcome.report.pipelines.size()) return kGood;
  constexpr int kSignalBase = 128;
  return outcome.signal != 0 ? kSignalBase + outcome.signal : kFailed;
}

}  // namespace leat::tools
