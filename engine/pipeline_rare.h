// What few of the pipelines have, so that a million that wait need not pay for it. See Pipeline, whose it is.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "leat/error.h"
#include "leat/store_image.h"
#include "signals.h"
#include "timer_queue.h"

namespace leat {

/// Fields are marked as in Pipeline.
struct PipelineRare {
  /// Of the limits on a task's waiting.
  struct Limits {
    TimerId queued, total, signal;
    bool total_begun = false;
    bool total_over = false;  // no attempt follows
  };

  /// Of work elsewhere, by task.
  struct Elsewhere {
    std::map<std::uint32_t, std::string> names;       // [owned] of attempts that run
    std::map<std::uint32_t, std::string> remembered;  // [const after restore] of those that ran at the crash
    std::map<std::uint32_t, std::uint32_t>
        deaths;  // [const after restore] processes that died taking it over
  };

  /// Of a child.
  struct Kin {
    ParentImage parent;  // [const]
    std::string word;    // [owned, then its end's]
  };

  struct Deadline {
    std::int64_t at_ns = 0;  // Unix time; 0: none
    TimerId timer;
  };

  std::unique_ptr<Limits[]> limits;      // [owned] of each task; null: none has such a limit
  std::unique_ptr<Elsewhere> elsewhere;  // null: no work has ever had a name elsewhere
  std::unique_ptr<Signals> signals;      // [const] null: its workflow declares none
  std::unique_ptr<Kin> kin;              // [const] null: it is nobody's child
  Deadline deadline;                     // [owned]
  std::optional<PauseImage> pause;       // [owned] null: it goes on
  // [owned] Ready tasks that no lane and no timer has: true. False: one that was, or still is, kept from
  // beginning by a pause and may come back from its lane.
  std::map<std::uint32_t, bool> at_home;
  std::map<std::uint32_t, std::string> errors;  // [owned] by task; for the checkpoint
  std::int64_t finished_ns = 0;                 // [owned] when it was cancelled; for the checkpoint
  std::int64_t start_at_ns = 0;                 // [const] from which on a retry's age counts; 0: its creation
  // [owned, const from the end on] the context that it ended with, where that was in the store alone
  std::optional<std::expected<std::string, Error>> result;
};

}  // namespace leat
