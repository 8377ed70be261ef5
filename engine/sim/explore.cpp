#include "explore.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace leat::sim {
namespace {

using Schedule = std::vector<std::uint32_t>;
constexpr int kReplaysMax = 3000;  // for one minimising

struct Given {
  const Workflow& workflow;
  const Options& options;
  const Invariant& invariant;
  const Plant& plant;
};

struct Ran {
  Report report;
  std::optional<Violation> violation;
  Schedule made;
  std::string timeline;
};

Ran run(const Given& given, std::uint64_t seed, std::optional<Schedule> schedule, bool keeps_timeline) {
  if (given.options.reset) given.options.reset();
  Stage stage(given.options, seed, std::move(schedule), terms_of(given.workflow), keeps_timeline);
  World world(given.workflow, stage, seed, given.invariant, given.plant);
  world.run();
  return {{.seeds = 1,
           .steps = world.steps(),
           .attempts = stage.ledger.attempts(),
           .crashes = stage.crashes,
           .hash = stage.hash},
          stage.ledger.violation(),
          stage.choices.made(),
          std::move(stage.timeline)};
}

/// Fewer crashes first, then fewer choices that are not 0, then fewer steps.
auto effort_of(const Ran& ran) {
  const auto set = std::ranges::count_if(
      ran.made, [](std::uint32_t choice) { return choice != 0 && choice != Choices::kStep; });
  return std::tuple(ran.report.crashes, set, ran.report.steps);
}

using Steps = std::vector<Schedule>;

Steps steps_of(const Schedule& schedule) {
  Steps steps(1);
  for (const std::uint32_t choice : schedule) {
    if (choice == Choices::kStep) {
      steps.emplace_back();
    } else {
      steps.back().push_back(choice);
    }
  }
  for (Schedule& step : steps) {
    while (!step.empty() && step.back() == 0) step.pop_back();
  }
  while (!steps.empty() && steps.back().empty()) steps.pop_back();
  return steps;
}

Schedule schedule_of(const Steps& steps) {
  Schedule schedule;
  for (const Schedule& step : steps) {
    schedule.insert(schedule.end(), step.begin(), step.end());
    schedule.push_back(Choices::kStep);
  }
  return schedule;
}

/// Takes steps out, or sets their choices to 0, in ever smaller pieces, while the run still fails by the same
/// rule.
class Minimising {
 public:
  Minimising(const Given& given, std::uint64_t seed, const Ran& found)
      : given_(given),
        seed_(seed),
        rule_(found.violation->rule),
        effort_(effort_of(found)),
        best_(steps_of(found.made)) {}

  Schedule result() {
    for (std::size_t piece = std::max<std::size_t>(1, best_.size() / 2);;) {
      const bool improved = round(piece);
      if (left_ <= 0 || (piece == 1 && !improved)) return schedule_of(best_);
      piece = piece > kSmall ? std::max(piece / 2, kSmall) : std::max<std::size_t>(1, piece - 1);
    }
  }

 private:
  static constexpr std::size_t kSmall = 8;  // pieces up to this are tried in every size, at every place

  bool round(std::size_t piece) {
    bool improved = false;
    for (std::size_t begin = 0; begin < best_.size();) {
      const auto from = static_cast<std::ptrdiff_t>(begin);
      const auto to = static_cast<std::ptrdiff_t>(std::min(begin + piece, best_.size()));
      Steps without = best_;
      without.erase(without.begin() + from, without.begin() + to);
      if (try_out(without)) {
        improved = true;  // what followed stands here now
        continue;
      }
      Steps harmless = best_;
      std::for_each(harmless.begin() + from, harmless.begin() + to, [](Schedule& step) { step.clear(); });
      improved |= try_out(harmless);
      for (std::size_t i = 0; piece == 1 && begin < best_.size() && i < best_[begin].size(); ++i) {
        Steps one = best_;
        one[begin][i] = 0;
        improved |= try_out(one);
      }
      begin += piece > kSmall ? piece : 1;
    }
    return improved;
  }

  bool try_out(const Steps& candidate) {
    if (candidate == best_ || --left_ < 0) return false;
    const Ran ran = run(given_, seed_, schedule_of(candidate), false);
    if (!ran.violation || ran.violation->rule != rule_ || effort_of(ran) >= effort_) return false;
    effort_ = effort_of(ran);
    best_ = steps_of(ran.made);
    return true;
  }

  const Given& given_;
  const std::uint64_t seed_;
  const Rule rule_;
  decltype(effort_of(std::declval<Ran>())) effort_;
  Steps best_;
  int left_ = kReplaysMax;
};

Failure failure_of(std::uint64_t seed, Ran&& ran, Schedule&& schedule) {
  return {seed, ran.violation->rule, std::move(ran.violation->message), std::move(schedule),
          std::move(ran.timeline)};
}

}  // namespace

Report explore_with(const Workflow& workflow, const Options& options, const Invariant& invariant,
                    const Plant& plant) {
  const Given given{workflow, options, invariant, plant};
  Report sum;
  for (std::uint64_t i = 0; i < options.seeds; ++i) {
    const std::uint64_t seed = options.first_seed + i;
    Ran ran = run(given, seed, std::nullopt, false);
    ++sum.seeds;
    sum.steps += ran.report.steps;
    sum.attempts += ran.report.attempts;
    sum.crashes += ran.report.crashes;
    sum.hash = (sum.hash ^ ran.report.hash) * 1099511628211U;
    if (!ran.violation) continue;
    Schedule shortest = Minimising(given, seed, ran).result();
    Ran again = run(given, seed, shortest, true);
    // A workflow that does not do the same each time cannot be replayed.
    if (!again.violation) again.violation = ran.violation;
    sum.failure = failure_of(seed, std::move(again), std::move(shortest));
    break;
  }
  return sum;
}

Report replay_with(const Workflow& workflow, const Options& options, std::uint64_t seed,
                   std::optional<Schedule> schedule, const Invariant& invariant, const Plant& plant) {
  Ran ran = run({workflow, options, invariant, plant}, seed, std::move(schedule), true);
  Report report = ran.report;
  if (ran.violation) {
    Schedule made = schedule_of(steps_of(ran.made));
    report.failure = failure_of(seed, std::move(ran), std::move(made));
  }
  return report;
}

Report explore(const Workflow& workflow, const Options& options, const Invariant& invariant) {
  return explore_with(workflow, options, invariant, {});
}

Report replay(const Workflow& workflow, const Options& options, std::uint64_t seed,
              std::optional<Schedule> schedule, const Invariant& invariant) {
  return replay_with(workflow, options, seed, std::move(schedule), invariant, {});
}

ExecutorLimits few_at_once() {
  return {.max_concurrent = 2, .max_queued = 2};
}

std::string_view to_string(Rule rule) noexcept {
  constexpr std::array<std::string_view, 18> kNames = {"AcknowledgedKept", "NothingInvented",
                                                       "TransitionTable",  "OneEnd",
                                                       "Conservation",     "NoIdleSlot",
                                                       "DeadEpoch",        "DurableDependencies",
                                                       "Repeats",          "RestartEquality",
                                                       "Progress",         "Opens",
                                                       "PausesHold",       "NotTooEarly",
                                                       "KeysHold",         "DeadlinesHold",
                                                       "SchedulesHold",    "Yours"};
  const auto index = static_cast<std::size_t>(rule);
  return index < kNames.size() ? kNames[index] : "?";
}

}  // namespace leat::sim
