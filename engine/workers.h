// Threads that a lane is served by. A lane calls notify() when there may be work; the workers
// call run_some().
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "leat/executor.h"

namespace leat {

class Lane;

/// Thread-safety: notify: any number of threads. stop: one.
class Workers {
 public:
  virtual ~Workers() = default;
  /// @pre the work was made visible by a seq_cst read-modify-write
  virtual void notify() noexcept = 0;
  /// Returns when no worker runs the lane any more, and none will.
  virtual void stop() noexcept = 0;
  /// Whose threads they are, whatever was asked for.
  virtual Backend backend() const noexcept { return Backend::Threads; }
  /// As tools show the thread; for messages.
  virtual std::string thread_name(std::uint32_t /*worker*/) const { return "not leat's own"; }
};

/// Own threads, named after the lane, that park when idle.
std::unique_ptr<Workers> make_thread_workers(Lane& lane, std::uint32_t count, IdlePolicy idle);

/// Drain tasks in a oneTBB arena of `count` threads: one for each idle-to-busy edge, never one for each task.
/// @pre oneTBB may use that many threads besides the caller's (see ArenaBudget::granted())
std::unique_ptr<Workers> make_arena_workers(Lane& lane, std::uint32_t count);

/// Lifts oneTBB's default limit of one thread for each CPU while it lives; a lower limit of the
/// host still counts.
class ArenaBudget {
 public:
  ArenaBudget();
  ~ArenaBudget();
  ArenaBudget(const ArenaBudget&) = delete;
  ArenaBudget& operator=(const ArenaBudget&) = delete;

  /// Worker threads that oneTBB will really lend, at most.
  std::uint32_t granted() const noexcept;

 private:
  struct Control;
  std::unique_ptr<Control> control_;
};

}  // namespace leat
