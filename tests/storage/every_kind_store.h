// A closed store with every kind of record and of row in it but TasksKept, which takes 4 MiB.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "journal_writer.h"
#include "leat/checkpoint.h"
#include "leat/history.h"
#include "leat/state_store.h"
#include "leat/transition_group.h"

namespace leat::test {

inline std::string every_kind_context(char letter) {
  return R"({"k":")" + std::string(kContextInlineBytesMax, letter) + R"("})";
}

/// Pipeline 1 has ended, 2 lives and has large contexts, its events from before the round are carried; 3 was
/// submitted by a schedule behind the round and takes over what 1 had done.
inline void write_every_kind(const std::string& directory) {
  constexpr std::string_view kTasks[] = {"first", "second"};
  constexpr std::uint32_t kReady[] = {0};
  constexpr std::uint32_t kSecond[] = {1};
  constexpr Successor kNext[] = {{1, TaskState::Ready}};
  constexpr std::int64_t kTime = 1'700'000'000'000'000'000;
  const auto id = [](std::uint64_t number) { return Uuid::make_v7(kTime / 1'000'000, 1, number); };
  const WorkflowDefined workflow{.workflow_no = 1, .name = "p::e::w", .version = 42, .tasks = kTasks};
  const KeyDefined key{.key_no = 1, .key = "default"};
  const ScheduleChanged schedule{.name = "nightly", .version = 1, .cursor_ns = kTime, .definition = "{}"};

  auto store = open_rocksdb_store(directory);
  ASSERT_TRUE(store) << store.error().message;
  (*store)->retain_events({.age_ns = 0});
  JournalWriter writer(**store);
  const std::string initial = every_kind_context('i');
  const std::string saved = every_kind_context('s');
  ASSERT_TRUE(writer.append(
      TransitionGroup(kTime, workflow), TransitionGroup(kTime, key), TransitionGroup(kTime, schedule),
      TransitionGroup(kTime, PauseChanged{.paused = true, .what = "gpu", .reason = "maintenance"}),
      TransitionGroup(kTime,
                      PipelineCreated{.pipeline_no = 1, .id = id(1), .workflow_no = 1, .task_count = 2})));
  TransitionGroup cancelled(kTime + 1,
                            PipelineChanged{.pipeline_no = 1,
                                            .to = PipelineState::Cancelled,
                                            .successors = std::vector<Successor>{{0, TaskState::Cancelled},
                                                                                 {1, TaskState::Cancelled}},
                                            .reason = "cancelled"});
  cancelled.add_summary({.id = id(1),
                         .workflow_no = 1,
                         .state = PipelineState::Cancelled,
                         .tasks = 2,
                         .created_ns = kTime,
                         .finished_ns = kTime + 1});
  ASSERT_TRUE(writer.append(cancelled));
  ASSERT_TRUE(writer.append(TransitionGroup(kTime, PipelineCreated{.pipeline_no = 2,
                                                                   .id = id(2),
                                                                   .workflow_no = 1,
                                                                   .task_count = 2,
                                                                   .ready = kReady,
                                                                   .context = initial,
                                                                   .traits = {.concurrency_key = "tenant"}}),
                            TransitionGroup(kTime + 1, TaskStarted{.pipeline_no = 2, .key_no = 1})));
  ASSERT_TRUE(writer.append(
      TransitionGroup(kTime + 2, TaskEnded{.pipeline_no = 2, .successors = kNext, .context = saved}),
      TransitionGroup(kTime + 3, TaskStarted{.pipeline_no = 2, .task = 1, .key_no = 1}),
      TransitionGroup(kTime + 3, TaskReferred{.pipeline_no = 2, .task = 1, .external_ref = "job-7"}),
      TransitionGroup(kTime + 4,
                      PipelineChanged{.pipeline_no = 2, .to = PipelineState::Paused, .reason = "a look"})));

  PipelineImage second;
  second.pipeline_no = 2;
  second.id = id(2);
  second.workflow_no = 1;
  second.state = PipelineState::Paused;
  second.created_ns = kTime;
  second.context = as_remembered(initial, ContextPlace::of_pipeline(2));
  second.traits.touch().concurrency_key = "tenant";
  second.last_completed = 0;
  second.tasks.resize(2);
  second.tasks[0].state = TaskState::Completed;
  second.tasks[0].context = as_remembered(saved, ContextPlace::of_task(2, 0));
  second.tasks[1].state = TaskState::Running;
  second.tasks[1].external_ref = "job-7";
  for (TaskImage& task : second.tasks) task.key_no = 1;
  const PauseImage pause{kTime + 4, "a look"};
  std::vector<TransitionGroup> rows;
  rows.push_back(make_row(RoundBegun{1, writer.end(), 3, 2, 2}));
  rows.push_back(make_row(KeyKept{1, key}));
  rows.push_back(
      make_row(PauseKept{.generation = 1, .since_ns = kTime, .what = "gpu", .reason = "maintenance"}));
  rows.push_back(make_row(ScheduleKept{1, schedule}));
  rows.push_back(make_row(WorkflowKept{1, writer.end(), workflow}));
  for (TransitionGroup& row : make_rows({1, second, &pause})) rows.push_back(std::move(row));
  rows.push_back(make_row(RoundEnded{1, kTime + 5}));
  ASSERT_TRUE(writer.append_rows(rows));
  ASSERT_TRUE(writer.sync());
  for (auto more = (*store)->tidy();; more = (*store)->tidy()) {
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) break;
  }
  const TaskDone done[] = {{.task = 0, .context = saved}};
  const std::string tasks_done = encode_done(done);
  ASSERT_TRUE(writer.append(TransitionGroup(
      kTime + 6,
      PipelineCreated{
          .pipeline_no = 3,
          .id = id(3),
          .workflow_no = 1,
          .task_count = 2,
          .ready = kSecond,
          .traits = {
              .start_at_ns = kTime + 7,
              .idempotency_key = "p::e::w once",
              .key_ends_ns = kTime + 100,
              .firing = {.schedule = "nightly", .version = 2, .time_ns = kTime + 5, .cursor_ns = kTime + 6},
              .tasks_done = tasks_done}})));
  std::vector<TransitionGroup> later;
  later.push_back(make_row(RoundBegun{2, writer.end(), 4, 2, 2}));
  later.push_back(make_row(SubmissionKept{2, "p::e::w once", id(3), kTime + 100}));
  ASSERT_TRUE(writer.append_rows(later)) << "a round that a crash cut short";
  ASSERT_TRUE((*store)->close());
}

}  // namespace leat::test
