// What an operator has paused: executor keys and patterns of namespaces. It is remembered, so that a restart
// does not let loose what was stopped for a reason.
#include <string>
#include <utility>

#include "completion.h"
#include "leat/checkpoint.h"
#include "refusal.h"
#include "scheduler.h"
#include "store_failure.h"

namespace leat {

std::expected<void, Error> Scheduler::pause(PauseScope scope, std::string_view what,
                                            std::string_view reason) {
  if (reason.size() > kReasonBytesMax) {
    return refuse("a reason of " + std::to_string(reason.size()) + " bytes (accepted: up to " +
                  std::to_string(kReasonBytesMax) + ")");
  }
  if (scope == PauseScope::ExecutorKey && (what.empty() || what.size() > LaneTable::kKeyBytesMax)) {
    return refuse("an executor key of " + std::to_string(what.size()) + " bytes (accepted: 1 to 256)");
  }
  return change_pause({.scope = scope, .paused = true, .what = what, .reason = reason});
}

std::expected<void, Error> Scheduler::resume(PauseScope scope, std::string_view what) {
  return change_pause({.scope = scope, .paused = false, .what = what});
}

/// Takes effect at once, then waits until it is on disk, where that can be waited for: also what was so
/// already, since who said it before may be waiting still, or have heard that the store failed.
std::expected<void, Error> Scheduler::change_pause(const PauseChanged& record) {
  if (journal_ != nullptr && !reserve_one()) return fail(ErrorCode::Stopped, "the Runner is stopping");
  std::vector<QueuedTask> free;
  const auto changed = install_pause(record, free);
  if (journal_ != nullptr && !(changed && *changed)) journal_->release(1);
  if (!changed) return std::unexpected(changed.error());
  for (const QueuedTask& task : free) {
    if (accepting()) lanes_.release(task.event, executor_of(task.event), Slots());
  }
  if (journal_ == nullptr || !accepting() || running_attempt() != nullptr) return {};
  if (auto flushed = journal_->flush(Durability::Disk); !flushed) {
    return std::unexpected(to_error(flushed.error()));
  }
  return {};
}

/// @param free  set to what may be begun now
/// @return      whether anything was changed, and published with the credit
std::expected<bool, Error> Scheduler::install_pause(const PauseChanged& record,
                                                    std::vector<QueuedTask>& free) {
  MutexLock lock(mutex_);
  const std::pair place(record.scope, std::string(record.what));
  const std::int64_t now = clock_.unix_ns();
  if (record.paused == pauses_.contains(place)) {
    if (record.paused) return false;
    return fail(ErrorCode::InvalidState, "'" + place.second + "' is not paused");
  }
  if (record.paused) {
    if (record.scope == PauseScope::ExecutorKey) {
      lanes_.pause(record.what);
    } else if (auto paused = lanes_.gate().pause(record.what); !paused) {
      return refuse(std::move(paused.error().message));
    }
    pauses_.emplace(place, PauseImage{now, std::string(record.reason)});
  } else {
    if (record.scope == PauseScope::ExecutorKey) {
      lanes_.resume(record.what);
    } else {
      lanes_.gate().resume(record.what, free);
    }
    pauses_.erase(place);
  }
  if (journal_ != nullptr) journal_->publish({now, record}, Durability::Disk, nullptr, 0);
  return true;
}

/// What the store remembers. @pre nothing runs yet
void Scheduler::remember_pauses(const PauseImages& pauses) {
  for (const auto& [place, pause] : pauses) {
    if (place.first == PauseScope::ExecutorKey) {
      lanes_.pause(place.second);
    } else if (place.first == PauseScope::Namespaces && !lanes_.gate().pause(place.second)) {
      continue;  // a later leat's pattern
    }
    pauses_.emplace(place, pause);
  }
}

PauseImages Scheduler::pauses() const {
  MutexLock lock(mutex_);
  PauseImages pauses = pauses_;
  std::erase_if(pauses, [](const auto& pause) { return pause.first.first == PauseScope::Pipeline; });
  return pauses;
}

/// Of a pipeline that waits for its workflow. @return  null: it is not paused
const PauseImage* Scheduler::find_pause(const PipelineImage& pipeline) const {
  if (pipeline.state != PipelineState::Paused) return nullptr;
  const auto found = pauses_.find({PauseScope::Pipeline, pipeline.id.to_string()});
  return found == pauses_.end() ? nullptr : &found->second;
}

/// Writes the row of one pause, where it is still there. Uses up a credit.
void Scheduler::keep_pause() {
  MutexLock lock(mutex_);  // so that the row stands in the ring where the journal's record would
  const auto found = pauses_.find(round_.pauses.back());
  round_.pauses.pop_back();
  if (found == pauses_.end()) return journal_->release(1);
  const auto& [place, pause] = *found;
  keep_row(make_row(PauseKept{round_.generation, place.first, pause.since_ns, place.second, pause.reason}));
}

}  // namespace leat
