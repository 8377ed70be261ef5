// What contexts cost by their size, on both sides of the limit from which on they lie apart: the life of a
// task that saves one, and the row of a pipeline that has one in a round of the checkpoint.
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench_runner.h"
#include "leat/checkpoint.h"
#include "leat/context_image.h"
#include "leat/journal.h"
#include "leat/state_store.h"
#include "leat/store_image.h"
#include "process_usage.h"

namespace leat::bench {
namespace {

constexpr std::array<std::size_t, 6> kSizes = {
    256, kContextInlineBytesMax, kContextInlineBytesMax + 1, 4096, 16 << 10, 64 << 10};

/// What makes a context {"text":"..."} one of so many bytes.
std::string text_of(std::size_t bytes) {
  return std::string(bytes - std::string_view(R"({"text":""})").size(), 'x');
}
std::string context_of(std::size_t bytes) {
  return R"({"text":")" + text_of(bytes) + R"("})";
}

/// One item: a pipeline of one task that saves a context of so many bytes, from its submission to its end.
void run_saving(benchmark::State& state, std::size_t bytes, Durability level) {
  const std::size_t in_flight = bytes > (std::size_t{8} << 10) ? 128 : 2048;
  BenchRunner runner({.level = level, .max_queued = 8192});
  const std::string text = text_of(bytes);
  const Workflow workflow = take(
      Workflow::builder("saving").task("save", [&](TaskContext& task) { task.set("text", text); }).build(),
      "workflow");
  take(runner->register_workflow(workflow), "register_workflow");
  std::vector<PipelineHandle> handles;
  handles.reserve(in_flight);
  const ProcessUsage begin = read_process_usage();
  for (auto _ : state) {
    for (std::size_t i = 0; i < in_flight; ++i)
      handles.push_back(take(runner->submit_async(workflow, {.durability = level}), "submit_async"));
    for (const PipelineHandle& handle : handles) {
      if (take(handle.wait(), "wait").state != PipelineState::Completed) give_up("task", "did not complete");
    }
    handles.clear();
  }
  const auto tasks = state.iterations() * static_cast<std::int64_t>(in_flight);
  state.SetItemsProcessed(tasks);
  report_usage_per_task(state, begin, tasks);
}

/// Live pipelines that began with a context, over a journal with its committer.
class LivePipelines {
 public:
  LivePipelines(std::size_t count, std::size_t context_bytes)
      : store_(take(open_rocksdb_store((directory_.path() / "store").string()), "store")),
        journal_(*store_, {}),
        committer_([this] {
          while (journal_.wait_for_work()) journal_.commit_some();
        }) {
    store_->retain_events({.age_ns = 0});
    constexpr std::uint32_t kReady[] = {0};
    const std::string context = context_of(context_bytes);
    publish({1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}});
    for (std::uint64_t number = 1; number <= count; ++number) {
      const Uuid id = Uuid::make_v7(number, 0, number);
      publish({1, PipelineCreated{.pipeline_no = number,
                                  .id = id,
                                  .workflow_no = 1,
                                  .task_count = 1,
                                  .ready = kReady,
                                  .context = context}});
      PipelineImage& image = images_.emplace_back();
      image.pipeline_no = number;
      image.id = id;
      image.workflow_no = 1;
      image.created_ns = 1;
      image.context = as_remembered(context, ContextPlace::of_pipeline(number));
      image.tasks.resize(1);
      image.tasks[0].state = TaskState::Ready;
    }
    take(journal_.flush(Durability::Disk), "flush");
  }
  ~LivePipelines() {
    journal_.stop();
    committer_.join();
    take(store_->close(), "close");
  }

  /// @return the bytes of its rows
  std::size_t run_round() {
    const std::uint64_t generation = ++rounds_;
    const std::uint64_t minimum = journal_.written();
    std::size_t bytes = 0;
    publish(make_row(RoundBegun{generation, minimum, images_.size() + 1, 2, 1}));
    publish(
        make_row(WorkflowKept{generation, minimum, {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}}));
    for (const PipelineImage& image : images_) {
      for (TransitionGroup& row : make_rows({generation, image})) {
        bytes += row.bytes().size();
        publish(std::move(row));
      }
    }
    publish(make_row(RoundEnded{generation, 1}));
    take(journal_.flush(Durability::Disk), "flush");
    while (take(store_->tidy(), "tidy")) {
    }
    return bytes;
  }

 private:
  static constexpr std::string_view kTasks[] = {"only"};

  void publish(TransitionGroup&& group) {
    if (!journal_.reserve(1)) give_up("reserve", "the journal is closed");
    journal_.publish(std::move(group), Durability::Process, nullptr, 0);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<StateStore> store_;
  std::vector<PipelineImage> images_;
  std::uint64_t rounds_ = 0;
  Journal journal_;
  std::thread committer_;
};

/// One item: a live pipeline's row, in a round that ends durably and lets the one before it go.
void run_rounds(benchmark::State& state, std::size_t context_bytes) {
  constexpr std::size_t kLive = 2000;
  LivePipelines live(kLive, context_bytes);
  std::size_t bytes = 0;
  const ProcessUsage begin = read_process_usage();
  for (auto _ : state) bytes += live.run_round();
  const auto rows = state.iterations() * static_cast<std::int64_t>(kLive);
  state.SetItemsProcessed(rows);
  report_usage_per_task(state, begin, rows);
  state.counters["bytes_per_row"] = static_cast<double>(bytes) / static_cast<double>(rows);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const std::size_t bytes : kSizes) {
    const std::string size = "/bytes:" + std::to_string(bytes);
    for (const Durability level : {Durability::Disk, Durability::Process}) {
      const std::string name = "BM_Context_Leat" + size + "/level:" + std::string(to_string(level));
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        run_saving(state, bytes, level);
      })->UseRealTime();
    }
    benchmark::RegisterBenchmark(("BM_Checkpoint_Rows" + size).c_str(), [=](benchmark::State& state) {
      run_rounds(state, bytes);
    })->UseRealTime();
  }
  return true;
}();

}  // namespace
}  // namespace leat::bench
