// A closed store that holds something of everything that a store may hold: for tests of the format and of
// verification.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "journal_writer.h"
#include "leat/checkpoint.h"
#include "leat/history.h"
#include "leat/state_store.h"
#include "leat/transition_group.h"

namespace leat::test {

/// Pipeline 1 failed and has a summary, pipeline 2 runs and is a row of round 1, pipeline 3 was created
/// behind it.
///
/// @param events  what the round leaves of the journal before it
inline void fill_and_close(StateStore& store, const Retention& events) {
  constexpr std::string_view kTasks[] = {"extract", "transform", "load"};
  constexpr std::uint32_t kReady[] = {0};
  constexpr Successor kNext[] = {{1, TaskState::Ready}};
  constexpr Successor kSkipped[] = {{1, TaskState::Skipped}, {2, TaskState::Skipped}};
  constexpr std::int64_t kTime = 1'700'000'000'000'000'000;
  const auto created = [&](std::uint64_t number) {
    return TransitionGroup(kTime, PipelineCreated{.pipeline_no = number,
                                                  .id = Uuid::make_v7(kTime / 1'000'000, 1, number),
                                                  .workflow_no = 1,
                                                  .task_count = 3,
                                                  .level = Durability::Process,
                                                  .ready = kReady,
                                                  .context = "{\"a\":1}"});
  };
  const WorkflowDefined workflow{.workflow_no = 1,
                                 .name = "public::embedded::etl",
                                 .version = 42,
                                 .tasks = kTasks,
                                 .definition = "[workflow]"};
  const KeyDefined key{.key_no = 1, .key = "default"};

  store.retain_events(events);
  JournalWriter writer(store);
  ASSERT_TRUE(writer.append(TransitionGroup(kTime, workflow), TransitionGroup(kTime, key), created(1)));
  ASSERT_TRUE(writer.append(TransitionGroup(kTime + 1, TaskStarted{.pipeline_no = 1, .key_no = 1})));
  TransitionGroup failed(kTime + 2, TaskEnded{.pipeline_no = 1,
                                              .to = TaskState::Failed,
                                              .successors = kSkipped,
                                              .pipeline = PipelineState::Failed,
                                              .error = "no such file"});
  failed.add_summary({.id = Uuid::make_v7(kTime / 1'000'000, 1, 1),
                      .workflow_no = 1,
                      .state = PipelineState::Failed,
                      .tasks = 3,
                      .failed = 1,
                      .skipped = 2,
                      .created_ns = kTime,
                      .finished_ns = kTime + 2,
                      .error = "no such file"});
  ASSERT_TRUE(writer.append(failed));
  ASSERT_TRUE(writer.append(created(2)));
  ASSERT_TRUE(writer.append(TransitionGroup(kTime + 1, TaskStarted{.pipeline_no = 2, .key_no = 1})));
  ASSERT_TRUE(writer.append(
      TransitionGroup(kTime + 2, TaskEnded{.pipeline_no = 2, .successors = kNext, .context = "{\"b\":2}"}),
      TransitionGroup(kTime + 3, TaskStarted{.pipeline_no = 2, .task = 1, .key_no = 1})));

  PipelineImage second;
  second.pipeline_no = 2;
  second.id = Uuid::make_v7(kTime / 1'000'000, 1, 2);
  second.workflow_no = 1;
  second.level = Durability::Process;
  second.state = PipelineState::Running;
  second.created_ns = kTime;
  second.context = "{\"a\":1}";
  second.last_completed = 0;
  second.tasks.resize(3);
  second.tasks[0].state = TaskState::Completed;
  second.tasks[0].context = "{\"b\":2}";
  second.tasks[1].state = TaskState::Running;
  for (const std::size_t started : {0, 1}) second.tasks[started].key_no = 1;
  std::vector<TransitionGroup> rows;
  rows.push_back(make_row(RoundBegun{1, writer.end(), 3, 2, 2}));
  rows.push_back(make_row(WorkflowKept{1, writer.end(), workflow}));
  rows.push_back(make_row(KeyKept{1, key}));
  for (TransitionGroup& row : make_rows({1, second})) rows.push_back(std::move(row));
  rows.push_back(make_row(RoundEnded{1, kTime + 4}));
  ASSERT_TRUE(writer.append_rows(rows));
  ASSERT_TRUE(writer.sync());
  for (bool more = true; more;) {
    const auto tidied = store.tidy();
    ASSERT_TRUE(tidied) << tidied.error().message;
    more = *tidied;
  }
  ASSERT_TRUE(writer.append(created(3)));
  ASSERT_TRUE(store.close());
}

inline void write_filled_store(const std::string& directory, const Retention& events) {
  auto store = open_rocksdb_store(directory);
  ASSERT_TRUE(store) << store.error().message;
  fill_and_close(**store, events);
}

}  // namespace leat::test
