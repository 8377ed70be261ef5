// What runs right now, in memory that outlives the process: a task that kills its process before its start is
// in the journal is found here, and so is a child process that outlived it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "leat/store_error.h"

namespace leat {

/// One running attempt. Written by plain stores, no system call; read by a later opening.
///
/// Thread-safety: one thread at a time.
/// Invariant: pipeline_no is written last and cleared first, so that a line that names a pipeline is whole.
class alignas(64) BoardLine {
 public:
  struct Task {
    std::uint64_t pipeline_no = 0;  ///< 0: the line is empty
    std::uint32_t task = 0;
    std::uint32_t attempt = 0;
    std::uint32_t rescues = 0;  ///< that the task had when it started: tells its starts apart
    std::uint32_t key_no = 0;
    /// 0: a start; else its work elsewhere is taken over, by the n-th process in a row: the others died at it
    std::uint32_t adoption = 0;
  };
  struct Child {
    std::int32_t pid = 0;        ///< 0: none
    std::uint64_t identity = 0;  ///< tells it apart from a later process with the same number
  };

  BoardLine() = default;
  /// What a later process would read. @pre nobody writes to `other`
  BoardLine(const BoardLine& other) noexcept {
    begin(other.task());
    note_child(other.child());
  }

  void begin(const Task& task) noexcept {
    // relaxed: whoever reads them lives after this process, and sees its stores in their order
    task_.store(task.task, std::memory_order_relaxed);
    attempt_.store(task.attempt, std::memory_order_relaxed);
    rescues_.store(task.rescues, std::memory_order_relaxed);
    key_no_.store(task.key_no, std::memory_order_relaxed);
    adoption_.store(task.adoption, std::memory_order_relaxed);
    // release: behind the others, which nobody reads before; its partner is the death of the process
    pipeline_no_.store(task.pipeline_no, std::memory_order_release);
  }
  /// The task is to be started anew whatever becomes of the process; its child may live on.
  void end_task() noexcept { pipeline_no_.store(0, std::memory_order_relaxed); }  // relaxed: as above
  void note_child(const Child& child) noexcept {
    identity_.store(child.identity, std::memory_order_relaxed);  // relaxed: as above
    pid_.store(child.pid, std::memory_order_release);            // release: as above
  }
  void clear() noexcept {
    end_task();
    pid_.store(0, std::memory_order_relaxed);  // relaxed: as above
  }

  // relaxed: the writer's own, or a dead process's
  Task task() const noexcept {
    return {.pipeline_no = pipeline_no_.load(std::memory_order_relaxed),
            .task = task_.load(std::memory_order_relaxed),
            .attempt = attempt_.load(std::memory_order_relaxed),
            .rescues = rescues_.load(std::memory_order_relaxed),
            .key_no = key_no_.load(std::memory_order_relaxed),
            .adoption = adoption_.load(std::memory_order_relaxed)};
  }
  Child child() const noexcept {
    return {.pid = pid_.load(std::memory_order_relaxed),  // relaxed: as above
            .identity = identity_.load(std::memory_order_relaxed)};
  }
  bool empty() const noexcept { return task().pipeline_no == 0 && child().pid == 0; }

 private:
  std::atomic<std::uint64_t> pipeline_no_{0};
  std::atomic<std::uint32_t> task_{0};
  std::atomic<std::uint32_t> attempt_{0};
  std::atomic<std::uint32_t> rescues_{0};
  std::atomic<std::uint32_t> key_no_{0};
  std::atomic<std::int32_t> pid_{0};
  std::atomic<std::uint32_t> adoption_{0};
  std::atomic<std::uint64_t> identity_{0};
};
static_assert(sizeof(BoardLine) == 64, "a line of the file; no two tasks share a cache line");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock would not outlive the process");

/// The lines of one store.
///
/// Thread-safety: one thread at a time; each line that was given out has its own.
class InFlightBoard {
 public:
  virtual ~InFlightBoard() = default;

  /// What earlier openings left: not empty, and there until clear()ed, through further openings.
  virtual std::span<BoardLine> left_behind() noexcept = 0;

  /// Empty lines, for the board's life.
  ///
  /// @return  or DiskFull, Io
  virtual std::expected<std::span<BoardLine>, StoreError> claim(std::size_t count) = 0;
};

}  // namespace leat
