// The executor of a simulated run: runs the workflow's own functions, now or later, and lies, throws, hangs,
// defers and comes late as fate wants it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "leat/executor.h"
#include "stage.h"

namespace leat::sim {

/// Thread-safety: one thread.
class SimExecutor : public TaskExecutor {
 public:
  explicit SimExecutor(Stage& stage) : stage_(stage) {}

  void start(const TaskReadyEvent& event, CompletionToken token) override;
  std::string_view name() const override { return "simulated"; }

  /// When the next attempt ends by itself; nothing: none will.
  std::optional<std::int64_t> due_ns() const;
  /// Ends one of those that are due.
  void end_one();
  /// Attempts that have not ended.
  std::size_t pending() const noexcept { return pending_.size() + returning_.size(); }
  /// Ends one that hangs. @return false: none does
  bool end_hanging();
  /// The process is dead: what it ran is gone.
  void drop_all();

 private:
  enum class Fate : std::uint8_t { Succeeds, FailsBefore, FailsAfter, Hangs, Late };
  struct Pending {
    std::uint64_t number;
    TaskReadyEvent event;
    CompletionToken token;
    Fate fate;
    bool has_run;
    bool twice;
    bool deferred;                       // slot and permit are given back
    std::optional<std::int64_t> due_ns;  // nothing: hangs
    std::optional<ExecutionResult> result;
  };

  Fate choose();
  ExecutionResult run(const TaskReadyEvent& event, CompletionToken& token);
  void end(Pending pending);
  void come_back(Pending pending);
  void told_to_stop(std::uint64_t number);
  void note(const char* what, const TaskReadyEvent& event);

  Stage& stage_;
  std::uint64_t started_ = 0;
  std::vector<Pending> pending_;    // in the order of their starts
  std::vector<Pending> returning_;  // deferred, and in line for slot and permit
};

}  // namespace leat::sim
