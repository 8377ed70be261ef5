// Submitting: what options ask for is checked here, and a key that was used before leads to its pipeline.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "leat/checkpoint.h"
#include "leat/context.h"
#include "refusal.h"
#include "scheduler.h"
#include "store_failure.h"

namespace leat {
namespace {

constexpr std::size_t kSubmissionsMax = std::size_t{1} << 20;

/// Unix time; 0: at once.
std::expected<std::int64_t, Error> start_of(const SubmitOptions& options) {
  if (!options.start_at) return 0;
  const std::int64_t at = std::chrono::nanoseconds(options.start_at->time_since_epoch()).count();
  if (at > 0) return at;
  return fail(ErrorCode::InvalidArgument, "start_at lies before 1970");
}

/// Unix time; 0: none.
std::expected<std::int64_t, Error> deadline_of(const SubmitOptions& options, std::int64_t start_ns,
                                               std::int64_t now_ns) {
  if (!options.deadline) return 0;
  const std::int64_t at = std::chrono::nanoseconds(options.deadline->time_since_epoch()).count();
  if (at <= now_ns) return fail(ErrorCode::InvalidArgument, "deadline has passed already");
  if (at <= start_ns) return fail(ErrorCode::InvalidArgument, "deadline is not after start_at");
  return at;
}

/// As the store knows it: each workflow's keys are its own.
std::string submission_key(const RegisteredWorkflow& workflow, const SubmitOptions& options) {
  return std::string(workflow.workflow.full_name()) + '\n' + options.idempotency_key;
}

std::expected<void, Error> check_key(const SubmitOptions& options) {
  if (options.idempotency_key.size() > kIdempotencyKeyBytesMax) {
    return fail(ErrorCode::InvalidArgument,
                "idempotency_key of " + std::to_string(options.idempotency_key.size()) +
                    " bytes (accepted: at most " + std::to_string(kIdempotencyKeyBytesMax) + ")");
  }
  if (options.idempotency_window.count() <= 0) {
    return fail(ErrorCode::InvalidArgument, "idempotency_window is not above 0");
  }
  return {};
}

}  // namespace

/// What is wrong with the options, or what they come to. Takes the context.
std::expected<Scheduler::Prepared, Error> Scheduler::prepare(const Workflow& workflow, SubmitOptions& options,
                                                             bool is_child) {
  // What lives may go on with children of its own while it is drained.
  if (!(is_child ? accepting() : admitting()))
    return fail(ErrorCode::Stopped, "the Runner has not started, or is stopping");
  Registered registered = find_version(workflow.version());
  if (registered == nullptr) {
    auto made = register_workflow(workflow);
    if (!made) return std::unexpected(std::move(made.error()));
    registered = std::move(*made);
  }
  if (options.context != "{}") {
    if (auto fits = check_context_size(options.context.size()); !fits)
      return std::unexpected(std::move(fits.error()));
    if (auto parsed = Context::parse(options.context); !parsed)
      return std::unexpected(std::move(parsed.error()));
  }
  const Durability level = journal_ == nullptr ? Durability::Memory : options.durability;
  if (level != Durability::Memory && !journal_->admits()) {
    return fail(ErrorCode::Storage, journal_->condition().reason);
  }
  if (options.writes != nullptr) {
    if (level == Durability::Memory) {
      return fail(ErrorCode::InvalidArgument,
                  "writes: nothing is written at level memory (accepted: process, disk)");
    }
    if (auto taken = journal_->takes(*options.writes); !taken) {
      return std::unexpected(to_error(taken.error()));
    }
  }
  const auto start_at_ns = start_of(options);
  if (!start_at_ns) return std::unexpected(start_at_ns.error());
  const auto deadline_ns = deadline_of(options, *start_at_ns, clock_.unix_ns());
  if (!deadline_ns) return std::unexpected(deadline_ns.error());
  if (auto fits = check_key(options); !fits) return std::unexpected(std::move(fits.error()));
  if (options.concurrency_key.size() > ConcurrencyGate::kKeyBytesMax) {
    return fail(ErrorCode::InvalidArgument,
                "concurrency_key of " + std::to_string(options.concurrency_key.size()) +
                    " bytes (accepted: at most " + std::to_string(ConcurrencyGate::kKeyBytesMax) + ")");
  }
  Beginning how{.level = level,
                .context = std::move(options.context),
                .traits = {.concurrency_key = options.concurrency_key,
                           .start_at_ns = *start_at_ns,
                           .priority = options.priority,
                           .deadline_ns = *deadline_ns,
                           .keeps_start =
                               *start_at_ns != 0 && (!registered->signals.empty() || registered->limits_age)},
                .writes = options.writes};
  return Prepared{std::move(registered), std::move(how)};
}

std::expected<PipelineHandle, Error> Scheduler::begin_prepared(Prepared&& prepared,
                                                               const SubmitOptions& options,
                                                               const std::pair<Uuid, ParentLink>* child) {
  auto& [workflow, how] = prepared;
  if (!options.idempotency_key.empty()) return submit_once(std::move(workflow), options, std::move(how));
  if (child != nullptr) how.traits.parent = child->second;
  auto pipeline = begin(std::move(workflow), child == nullptr ? ids_.next() : child->first, std::move(how));
  if (!pipeline) return journal_closed();
  return std::move(*pipeline);
}

std::expected<PipelineHandle, Error> Scheduler::submit(const Workflow& workflow, SubmitOptions options,
                                                       const std::pair<Uuid, ParentLink>* child) {
  auto prepared = prepare(workflow, options, child != nullptr);
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  return begin_prepared(std::move(*prepared), options, child);
}

std::expected<std::vector<PipelineHandle>, Error> Scheduler::submit_bulk(const Workflow& workflow,
                                                                         std::vector<SubmitOptions> options) {
  std::vector<Prepared> prepared;
  for (SubmitOptions& one : options) {
    auto good = prepare(workflow, one, false);
    if (!good) return std::unexpected(std::move(good.error()));
    if (!one.idempotency_key.empty()) {
      const MutexLock lock(submitting_);
      const std::string key = submission_key(*good->workflow, one);
      if (auto found = find_submitted(key, clock_.unix_ns()); !found)
        return std::unexpected(std::move(found.error()));
    }
    prepared.push_back(std::move(*good));
  }
  std::vector<PipelineHandle> handles;
  for (std::size_t i = 0; i < options.size(); ++i) {
    auto handle = begin_prepared(std::move(prepared[i]), options[i], nullptr);
    if (!handle) return std::unexpected(std::move(handle.error()));
    handles.push_back(std::move(*handle));
  }
  return handles;
}

/// Gives out the pipeline that was submitted under the key before, where there is one.
std::expected<PipelineHandle, Error> Scheduler::submit_once(Registered workflow, const SubmitOptions& options,
                                                            Beginning&& how) {
  const std::string key = submission_key(*workflow, options);
  const Uuid id = ids_.next();
  const std::int64_t now = clock_.unix_ns();
  how.traits.idempotency_key = key;
  how.traits.key_ends_ns = time_after(now, options.idempotency_window);
  MutexLock lock(submitting_);
  forget_ended_keys(now);
  if (auto found = find_submitted(key, now); !found || *found) {
    if (!found) return std::unexpected(std::move(found.error()));
    if (how.writes != nullptr) {
      return fail(ErrorCode::AlreadyExists,
                  "writes: not written, since the idempotency_key is that of pipeline " +
                      (*found)->id().to_string());
    }
    return std::move(**found);
  }
  if (submissions_.size() >= kSubmissionsMax) {
    return fail(ErrorCode::InvalidState, std::to_string(kSubmissionsMax) +
                                             " idempotency keys are in their windows; no more can be kept");
  }
  const std::int64_t ends_ns = how.traits.key_ends_ns;
  auto pipeline = begin(std::move(workflow), id, std::move(how));
  if (!pipeline) return journal_closed();
  submissions_.emplace(key, Submission{id, ends_ns, pipeline});
  ends_of_keys_.emplace(ends_ns, key);
  return std::move(*pipeline);
}

/// Lets go of keys whose windows are over: a few at a time, so that no caller pays for many.
void Scheduler::forget_ended_keys(std::int64_t now_ns) {
  constexpr int kAtOnce = 4;
  for (int i = 0; i < kAtOnce && !ends_of_keys_.empty() && ends_of_keys_.begin()->first <= now_ns; ++i) {
    submissions_.erase(ends_of_keys_.begin()->second);
    ends_of_keys_.erase(ends_of_keys_.begin());
  }
}

/// The pipeline that a key in its window stands for; AlreadyExists: it has no handle here.
std::expected<std::optional<PipelineHandle>, Error> Scheduler::find_submitted(const std::string& key,
                                                                              std::int64_t now_ns) {
  forget_if_ended(key, now_ns);
  const auto known = submissions_.find(key);
  if (known == submissions_.end()) return std::nullopt;
  if (!known->second.handle) known->second.handle = find_resumed(known->second.pipeline);
  if (known->second.handle) return known->second.handle;
  return fail(
      ErrorCode::AlreadyExists,
      "submitted as pipeline " + known->second.pipeline.to_string() +
          " before this start; it has ended, or waits in the store or for its version of the workflow");
}

/// One whose window is over stands for nothing, however many of those are still kept.
void Scheduler::forget_if_ended(const std::string& key, std::int64_t now_ns) {
  const auto known = submissions_.find(key);
  if (known == submissions_.end() || known->second.ends_ns > now_ns) return;
  const auto [first, last] = ends_of_keys_.equal_range(known->second.ends_ns);
  const auto end = std::ranges::find(first, last, key, [](const auto& entry) { return entry.second; });
  if (end != last) ends_of_keys_.erase(end);  // else it would end the window that begins now
  submissions_.erase(known);
}

std::optional<PipelineHandle> Scheduler::find_resumed(const Uuid& id) const {
  if (auto waits = find_in_backlog(id)) return waits;
  return resumed_.find(id);
}

/// What the store remembers. @pre nothing runs yet
void Scheduler::remember_submissions(const SubmissionImages& submissions) {
  const std::int64_t now = clock_.unix_ns();
  MutexLock lock(submitting_);
  for (const auto& [key, submission] : submissions) {
    if (submission.ends_ns <= now) continue;
    submissions_.emplace(key, Submission{submission.pipeline, submission.ends_ns, std::nullopt});
    ends_of_keys_.emplace(submission.ends_ns, key);
  }
}

void Scheduler::forget_submissions() {
  MutexLock lock(submitting_);
  for (auto& [key, submission] : submissions_) submission.handle.reset();
}

/// Of a round of the checkpoint: the keys from the one before last to it, in their order.
///
/// @return  false: nothing could be done now
bool Scheduler::keep_submissions() {
  MutexLock lock(submitting_);
  auto next = submissions_.upper_bound(round_.last_submission);
  for (std::size_t i = 0; i < round_.rows_per_step && next != submissions_.end(); ++i, ++next) {
    const auto& [key, submission] = *next;
    // At level Memory the key goes with its pipeline.
    const bool kept = !submission.handle || Pipeline::of(*submission.handle).level() != Durability::Memory;
    if (kept && !journal_->try_reserve(1)) return i > 0;
    if (kept)
      keep_row(make_row(SubmissionKept{round_.generation, key, submission.pipeline, submission.ends_ns}));
    round_.last_submission = key;
  }
  if (next == submissions_.end()) round_.phase = Round::Phase::Definitions;
  return true;
}

}  // namespace leat
