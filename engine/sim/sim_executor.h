// The executor of a simulated run: runs the workflow's own functions, now or later, and lies, throws, hangs,
// defers and comes late as fate wants it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/executor.h"
#include "sim_coroutine.h"
#include "stage.h"

namespace leat::sim {

/// Thread-safety: one thread.
class SimExecutor : public TaskExecutor {
 public:
  explicit SimExecutor(Stage& stage);
  ~SimExecutor() override;

  void start(const TaskReadyEvent& event, CompletionToken token) override;
  std::string_view name() const override { return "simulated"; }

  /// When the next attempt ends by itself; nothing: none will.
  std::optional<std::int64_t> due_ns() const;
  /// Ends one of those that are due.
  void end_one();
  /// Attempts that have not ended.
  std::size_t pending() const noexcept { return pending_.size() + returning_.size() + coroutines_.size(); }
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

  /// The engine's services, listened to: what attempts begin with, and what they save.
  class Heard final : public ExecutorServices {
   public:
    explicit Heard(SimExecutor& executor) noexcept : executor_(executor) {}
    std::expected<std::string, Error> load_context(const TaskReadyEvent& event) const override;
    std::expected<void, Error> stage_context(const TaskReadyEvent& event, std::string_view json) override;
    const TaskFunction* find_task(const TaskReadyEvent& event) const noexcept override;
    std::string_view task_config(const TaskReadyEvent& event) const noexcept override;
    const TaskFunction* find_task(Namespace task) const override;
    std::string_view task_config(Namespace task) const override;
    void capacity_changed() noexcept override;
    bool has_slots() const noexcept override;
    bool stopping() const noexcept override;
    ExecutorMetrics metrics() const override;

   private:
    SimExecutor& executor_;
  };
  class Coroutine;

  Fate choose();
  [[noreturn]] void throw_something(const TaskReadyEvent& event, const char* when);
  const CoroutineFunction* coroutine_of(const TaskReadyEvent& event) const;
  void begin(const CoroutineFunction& function, const TaskReadyEvent& event, CompletionToken token);
  ExecutionResult run(const TaskReadyEvent& event, CompletionToken& token);
  ExecutionResult call(const TaskFunction& function, const TaskReadyEvent& event, CompletionToken& token);
  void missed(const TaskContext& context, const TaskReadyEvent& event);
  void wait_for_end(Pending pending, bool at_once);
  void end(Pending pending);
  void say(const TaskReadyEvent& event, const ExecutionResult& result);
  void come_back(Pending pending);
  void told_to_stop(std::uint64_t number);
  void note(const char* what, const TaskReadyEvent& event);

  Stage& stage_;
  Heard heard_;
  std::uint64_t started_ = 0;
  std::list<Coroutine> coroutines_;  // that have begun, and are not gone
  std::vector<Pending> pending_;     // in the order of their starts
  std::vector<Pending> returning_;   // deferred, and in line for slot and permit
};

}  // namespace leat::sim
