// What a simulated run asks of its engine: pipelines, and tasks that are dispatched alone.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "leat/context.h"
#include "runner_state.h"
#include "world.h"

namespace leat::sim {
namespace {

std::chrono::system_clock::time_point time_of(std::int64_t unix_ns) {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(unix_ns)));
}

/// The context with so much in it that it lies apart in the store.
std::string with_ballast(const std::string& text) {
  Context context = *Context::parse(text);
  context.set("ballast", std::string(kContextInlineBytesMax, '.'));
  return context.to_json();
}

}  // namespace

void World::submit() {
  if (stage_.uses(Uses::LoneTasks) && stage_.choices.pick(3) == 2) return submit_alone();
  submit_workflow();
}

Durability World::choose_level() {
  const std::vector<Durability>& levels = stage_.options.levels;
  return levels[stage_.choices.pick(static_cast<std::uint32_t>(levels.size()))];
}

Priority World::choose_priority() {
  constexpr Priority kPriorities[] = {Priority::Normal, Priority::High, Priority::Low};
  return kPriorities[stage_.uses(Uses::Priorities) ? stage_.choices.pick(3) : 0];
}

void World::choose_times(SubmissionTerms& terms, SubmitOptions& options) {
  constexpr std::uint32_t kLaterMaxMs = 2'000;
  constexpr std::uint32_t kDeadlineMaxMs = 200;
  const std::int64_t now_ns = stage_.clock->unix_ns();
  if (stage_.uses(Uses::LaterStarts) && stage_.choices.pick(3) == 2) {
    terms.start_at_ns = now_ns + std::int64_t{stage_.choices.pick(kLaterMaxMs)} * 1'000'000;
    options.start_at = time_of(terms.start_at_ns);
  }
  if (stage_.uses(Uses::Deadlines) && stage_.choices.pick(2) == 1) {
    const std::int64_t left_ns = std::int64_t{1 + stage_.choices.pick(kDeadlineMaxMs)} * 1'000'000;
    terms.deadline_ns = std::max(now_ns, terms.start_at_ns) + left_ns;
    options.deadline = time_of(terms.deadline_ns);
  }
}

void World::submit_workflow() {
  constexpr auto kWindow = std::chrono::hours(24 * 365);
  SubmissionTerms terms{.level = choose_level()};
  SubmitOptions options{
      .context = stage_.options.context, .durability = terms.level, .priority = choose_priority()};
  choose_times(terms, options);
  if (stage_.uses(Uses::LargeContexts) && stage_.choices.pick(3) == 2) {
    options.context = with_ballast(options.context);
  }
  if (stage_.uses(Uses::ConcurrencyKeys) && stage_.choices.pick(2) == 1) terms.concurrency_key = "shared";
  if (stage_.uses(Uses::IdempotencyKeys) && stage_.choices.pick(2) == 1) {
    terms.idempotency_key = std::string(1, static_cast<char>('a' + stage_.choices.pick(3)));
  }
  options.concurrency_key = terms.concurrency_key;
  options.idempotency_key = terms.idempotency_key;
  options.idempotency_window = kWindow;
  const auto handle = runner_->submit_async(workflow_, std::move(options));
  if (!stage_.alive) return;
  if (handle) return submitted(*handle, std::move(terms));
  if (handle.error().code == ErrorCode::AlreadyExists) stage_.ledger.refused(terms.idempotency_key);
}

void World::submit_alone() {
  const Durability level = choose_level();
  const auto attempts_max = 1 + static_cast<std::int32_t>(stage_.choices.pick(2));
  const SubmissionTerms terms{.level = level,
                              .tasks = std::make_shared<const std::vector<TaskTerms>>(
                                  1, TaskTerms{.name = kAlone,
                                               .retry = {.max_attempts = attempts_max}})};
  TaskReadyEvent event = runner_->make_event(alone_, attempts_max);
  event.priority = choose_priority();
  const auto handle = runner_->dispatcher().dispatch_async(event, {.durability = terms.level});
  if (stage_.alive && handle) submitted(*handle, terms);
}

void World::submitted(const PipelineHandle& handle, SubmissionTerms terms) {
  stage_.note(terms.tasks != nullptr ? "a task is dispatched alone" : "a pipeline is submitted",
              handle.id().hash());
  if (!stage_.ledger.submitted(handle.id(), std::move(terms))) return;
  ++submitted_;
  // Of what waits in the store, nothing is in memory where nobody has a handle.
  const bool forgets =
      stage_.memory_budget > 0 && Pipeline::of(handle).is_out() && stage_.choices.pick(2) == 1;
  if (!forgets) handles_.push_back(handle);
}

}  // namespace leat::sim
