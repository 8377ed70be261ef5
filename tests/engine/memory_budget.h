// Pipelines whose tasks say their number, and a Runner with a memory budget: for the tests of that budget.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/leat.h"

namespace leat {

inline constexpr std::chrono::seconds kLong{60};
inline constexpr std::uint64_t kSmall = 20'000;  // some 60 pipelines of one task

/// What tasks say of themselves, and a gate at which they wait while it is closed.
class Log {
 public:
  void enter(std::int64_t number) {
    open_.wait(false);
    const std::lock_guard lock(mutex_);
    numbers_.push_back(number);
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }
  void close() { open_ = false; }
  std::vector<std::int64_t> numbers() const {
    const std::lock_guard lock(mutex_);
    return numbers_;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return numbers_.size();
  }

 private:
  std::atomic<bool> open_ = true;
  mutable std::mutex mutex_;
  std::vector<std::int64_t> numbers_;
};

inline Workflow numbered(Log& log, const std::string& tenant = "public") {
  return *Workflow::builder("numbered")
              .tenant(tenant)
              .task("say", [&log](TaskContext& task) { log.enter(*task.get<std::int64_t>("n")); })
              .build();
}

inline SubmitOptions number(std::int64_t n, Durability level = Durability::Process) {
  return {.context = "{\"n\":" + std::to_string(n) + "}", .durability = level};
}

/// Empty, or the first place at which the numbers do not rise.
inline std::string disorder(const std::vector<std::int64_t>& numbers) {
  const auto at = std::ranges::is_sorted_until(numbers);
  if (at == numbers.end()) return {};
  const auto place = at - numbers.begin();
  std::string text = "at " + std::to_string(place) + ":";
  for (auto n = std::max<std::ptrdiff_t>(place - 4, 0);
       n < std::min<std::ptrdiff_t>(place + 8, std::ssize(numbers)); ++n)
    text += " " + std::to_string(numbers[n]);
  return text;
}

inline std::vector<std::int64_t> up_to(std::int64_t count) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t n = 0; n < count; ++n) numbers.push_back(n);
  return numbers;
}

inline std::uint64_t figure(const Runner& runner, std::string_view name) {
  const std::string text = runner.metrics_text();
  const std::string line = "\n" + std::string(name) + " ";
  const std::size_t at = text.find(line) + line.size();
  std::uint64_t value = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), value);
  return value;
}
inline std::uint64_t in_store(const Runner& runner) {
  return figure(runner, "leat_pipelines_in_store");
}
inline std::uint64_t resident(const Runner& runner) {
  return figure(runner, "leat_pipelines_resident");
}

/// One worker and one slot: tasks begin in the order in which they leave the lot.
inline Runner::Builder builder(std::unique_ptr<StateStore> store, std::uint64_t budget = kSmall) {
  auto builder = Runner::builder();
  builder.state_store(std::move(store))
      .default_limits({.max_concurrent = 1, .max_queued = 0})
      .memory_budget(budget);
  return builder;
}
inline Runner started(Runner::Builder& builder) {
  auto runner = builder.build();
  EXPECT_TRUE(runner) << runner.error().message;
  EXPECT_TRUE(runner->start());
  return std::move(*runner);
}

inline Runner started(Runner::Builder&& builder) {
  return started(builder);
}

}  // namespace leat
