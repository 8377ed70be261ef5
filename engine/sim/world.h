// One simulated run: processes that are born, serve the store and die, one after the other, until every
// pipeline has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "leat/runner.h"
#include "leat/sim.h"
#include "lent_threads.h"
#include "sim_executor.h"
#include "stage.h"

namespace leat {
class RunnerState;
}

namespace leat::sim {

/// Parts that a test replaces by broken ones, to see that the invariants speak.
struct Plant {
  std::function<std::unique_ptr<StateStore>(std::unique_ptr<StateStore>, Stage&)> store = {};
  std::function<std::shared_ptr<SimExecutor>(Stage&)> executor = {};
};

/// The task that is dispatched alone.
inline constexpr const char* kAlone = "public::embedded::alone::task";

/// What the ledger holds its pipelines to.
std::vector<TaskTerms> terms_of(const Workflow& workflow);

/// The third way to lend threads: one, which does what the seed says.
///
/// Thread-safety: one thread.
class World final : public LentOrder {
 public:
  World(const Workflow& workflow, Stage& stage, std::uint64_t seed, const Invariant& invariant,
        const Plant& plant);
  ~World();

  /// To the end, or to the first violation.
  void run();
  std::uint64_t steps() const noexcept { return steps_; }

  // LentOrder: a thread that waits, in a nested step of the same run.
  void help(const std::vector<LentWork*>& works, bool may_begin) noexcept override;

 private:
  void be_born();
  void live();
  void bury();
  bool let_time_pass(const std::vector<LentWork*>& works);
  void step(const std::vector<LentWork*>& works, bool may_begin);
  void go_on_meanwhile();
  std::uint32_t count_ready(const std::vector<LentWork*>& works, bool may_begin);
  void do_one(std::uint32_t chosen);
  void act();
  void submit();
  void submit_workflow();
  void submit_alone();
  void submitted(const PipelineHandle& handle, SubmissionTerms terms);
  Durability choose_level();
  Priority choose_priority();
  ScheduleOptions choose_schedule();
  void keep_schedule();
  bool change_schedule();
  void remove_schedule();
  void meet_scheduled();
  void meet_children();
  void choose_times(SubmissionTerms& terms, SubmitOptions& options);
  void pause_something();
  bool resume_something();
  bool signal();
  void stop_cleanly();
  void replace();
  void meet(RunnerState& state);
  void check();
  void hear();
  void look_at_engine(RunnerState& state, bool idle);
  bool over() const;
  std::uint64_t waiting_alone() const;

  const Workflow& workflow_;
  Stage& stage_;
  const Invariant& invariant_;
  const Plant& plant_;
  const std::shared_ptr<Rng> rng_;
  std::shared_ptr<SimExecutor> executor_;
  std::unique_ptr<Runner> runner_;
  std::vector<PipelineHandle> handles_;  // of this process
  std::vector<Workflow> children_;       // of which tasks have begun pipelines
  bool has_children_;                    // some task may
  Namespace alone_;                      // the task that is dispatched alone
  std::uint32_t submitted_ = 0;
  std::optional<ScheduleOptions> schedule_;
  bool schedule_over_ = false;  // its removal has been asked for, or nobody makes one
  bool schedule_gone_ = false;
  std::uint32_t schedule_looks_ = 0;
  bool outermost_ = false;                         // the next help() is not within another
  const std::vector<LentWork*>* works_ = nullptr;  // of the help() that is under way
  bool may_begin_ = false;                         // likewise
  bool meanwhile_ = false;                         // a sync is in flight, and others go on
  std::vector<LentWork*> ready_;                   // what can be done now
  std::int64_t earliest_ns_ = 0;                   // that the wall clock has shown to this process
  std::uint64_t steps_ = 0;
};

}  // namespace leat::sim
