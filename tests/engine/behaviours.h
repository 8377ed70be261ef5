// What the tests of behaviours share: a Runner over a medium of the test's own, and what such a medium tells
// afterwards.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "leat/leat.h"
#include "leat/store_image.h"

namespace leat::behaviours {

using namespace std::chrono_literals;  // in tests alone
inline constexpr auto kLong = 30s;
inline constexpr DispatchOptions kMemory{.durability = Durability::Memory};

inline Runner make_runner(std::shared_ptr<MemoryMedium> medium = nullptr) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store(std::move(medium)))
                    .default_limits({.max_concurrent = 4})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  return std::move(*runner);
}

inline Runner make_started_runner(std::shared_ptr<MemoryMedium> medium = nullptr) {
  Runner runner = make_runner(std::move(medium));
  EXPECT_TRUE(runner.start());
  return runner;
}

inline PipelineResult run(Runner& runner, const Workflow& workflow, std::string context = "{}") {
  auto handle = runner.submit(workflow, {.context = std::move(context), .durability = Durability::Process});
  EXPECT_TRUE(handle) << handle.error().message;
  auto result = handle->wait(kLong);
  EXPECT_TRUE(result) << result.error().message;
  return *result;
}

struct Seen {
  std::vector<std::string> transitions;  ///< "task from->to attempt"
  std::vector<std::uint64_t> sequences;
  StoreImage image{StoreImage::Keep::Everything};

  const PipelineImage& only() const { return image.pipelines().begin()->second; }
};

/// What the medium of a closed, or dead, store tells.
inline Seen read(const std::shared_ptr<MemoryMedium>& medium) {
  Seen seen;
  const auto store = make_memory_store(medium);
  EXPECT_TRUE(store->replay([&](std::uint64_t first, std::span<const std::byte> commit) {
    return seen.image.apply(first, commit, [&](const TransitionEvent& event) {
      seen.transitions.push_back(event.workflow->tasks[event.task] + " " +
                                 std::string(event.from ? to_string(*event.from) : "") + "->" +
                                 std::string(to_string(event.to)) + " " + std::to_string(event.attempt));
      seen.sequences.push_back(event.sequence);
    });
  }));
  return seen;
}

inline const auto fails = [](TaskContext&) -> std::expected<void, TaskError> {
  return std::unexpected("no luck");
};
inline const auto nothing = [](TaskContext&) {};
inline const RetryPolicy kOnce{.max_attempts = 1};

/// The medium as a crash leaves it that comes after everything said so far is written.
inline std::shared_ptr<MemoryMedium> crash_now(Runner& runner, const MemoryMedium& medium) {
  EXPECT_TRUE(runner.flush());
  return medium.after_kill();
}

/// Runs other tasks until a round of the checkpoint is whole that began after this one's call.
inline void run_until_checkpoint(Runner& runner, const MemoryMedium& medium) {
  const auto generation = [&] {
    return make_memory_store(medium.after_kill())->checkpoints().newest().generation;
  };
  const auto other = *Workflow::builder("other").task("t", nothing).build();
  for (const std::uint64_t before = generation(); generation() < before + 2;) run(runner, other);
}

}  // namespace leat::behaviours
