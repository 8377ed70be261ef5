#include "journal_fold.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checkpoint_slice.h"
#include "leat/store_recovery.h"
#include "leat/waiting.h"
#include "pipeline_search.h"

namespace leat {
namespace {

bool agree(const TaskImage& a, const TaskImage& b) {
  return a.state == b.state && a.attempt == b.attempt && a.rescues == b.rescues && a.key_no == b.key_no &&
         a.retry_at_ns == b.retry_at_ns && a.error == b.error && a.context == b.context &&
         a.external_ref == b.external_ref;
}

bool agree(const PipelineImage& a, const PipelineImage& b) {
  return a.pipeline_no == b.pipeline_no && a.id == b.id && a.workflow_no == b.workflow_no &&
         a.level == b.level && a.state == b.state && a.created_ns == b.created_ns &&
         a.finished_ns == b.finished_ns && a.open_tasks == b.open_tasks &&
         a.last_completed == b.last_completed && a.context == b.context && a.traits == b.traits &&
         a.priority == b.priority &&
         std::ranges::equal(a.tasks, b.tasks, [](const auto& x, const auto& y) { return agree(x, y); });
}

}  // namespace

namespace {

/// What was set aside before the events begin, and is still.
std::expected<void, StoreError> load_waiting(const JournalDb& journal, StoreImage& image) {
  const auto lines = journal.waiting_lines();
  if (!lines) return std::unexpected(lines.error());
  for (const WaitingBounds& line : *lines) {
    const auto load = [&image](std::uint64_t,
                               std::span<const std::byte> row) -> std::expected<bool, StoreError> {
      if (auto done = image.load_waiting(row); !done) return std::unexpected(std::move(done.error()));
      return true;
    };
    if (auto done = journal.replay_waiting(line.line, line.begin, load); !done) return done;
  }
  return {};
}

std::expected<StoreImage, StoreError> fold(const JournalDb& journal, const CheckpointMark& mark,
                                           StoreImage::Keep keep, bool events, const FoldHooks& hooks) {
  StoreImage image(keep);
  image.on_finish(hooks.on_finish);
  image.begin_at(mark);
  const auto load = [&image](std::uint64_t first, std::span<const std::byte> slice) {
    return image.load(first, slice);
  };
  const auto carry = [&](std::uint64_t first, std::span<const std::byte> commit) {
    return image.carry(first, commit, hooks.on_event);
  };
  const auto apply = [&](std::uint64_t first, std::span<const std::byte> commit) {
    auto done = image.apply(first, commit, hooks.on_event);
    if (done && hooks.on_commit) hooks.on_commit(first);
    return done;
  };
  std::expected<void, StoreError> done;
  const bool has_rows = mark.generation != 0;  // else the checkpoint need not be readable
  if (has_rows) done = journal.replay_rows(mark.generation, load);
  if (events) image.prefer_events();
  if (done && has_rows && events) done = journal.replay_carried(mark.generation, carry);
  if (done) done = journal.replay(apply, mark.minimum);
  if (done && keep == StoreImage::Keep::Everything) done = load_waiting(journal, image);
  if (done) done = check_whole(image);
  if (!done) return std::unexpected(std::move(done.error()));
  return image;
}

}  // namespace

std::expected<StoreImage, StoreError> fold_from(const JournalDb& journal, const CheckpointMark& mark,
                                                StoreImage::Keep keep) {
  return fold(journal, mark, keep, false, {});
}

std::expected<StoreImage, StoreError> fold_events(const JournalDb& journal, const CheckpointMark& oldest,
                                                  StoreImage::Keep keep, const FoldHooks& hooks) {
  return fold(journal, oldest, keep, true, hooks);
}

bool rows_are_whole(const JournalDb& journal, const CheckpointMark& mark) {
  std::uint64_t bytes = 0;
  const auto done = journal.replay_rows(
      mark.generation,
      [&bytes](std::uint64_t first, std::span<const std::byte> slice) -> std::expected<void, StoreError> {
        bytes += slice.size();
        std::vector<std::uint64_t> numbers;
        return note_pipelines(first, slice, numbers);
      });
  return done && bytes == mark.row_bytes;
}

std::expected<std::optional<RememberedPipeline>, StoreError> find_pipeline(const JournalDb& journal,
                                                                           const Uuid& id) {
  // A round that is complete meanwhile moves what lies between two looks.
  constexpr int kTries = 8;
  for (int tries = 1;; ++tries) {
    const auto marks = journal.marks();
    if (!marks) return std::unexpected(marks.error());
    auto found = find_in_rounds(
        id, marks->kept(),
        [&](std::uint64_t generation, const StateStore::Visitor& visit) {
          return journal.replay_rows(generation, visit);
        },
        [&](std::uint64_t from, const StateStore::Visitor& visit) { return journal.replay(visit, from); });
    const auto now = journal.marks();
    const bool unmoved = now && *now == *marks;
    if (unmoved || (found && *found) || tries == kTries) return found;
  }
}

std::string disagreement(const StoreImage& older, const StoreImage& newer) {
  const auto& before = older.pipelines();
  const auto& after = newer.pipelines();
  for (const auto& [number, pipeline] : before) {
    const auto found = after.find(number);
    if (found == after.end()) return fmt::format("pipeline {} lives in the journal alone", number);
    if (!agree(pipeline, found->second)) return fmt::format("pipeline {} stands differently", number);
  }
  for (const auto& [number, pipeline] : after) {
    if (!before.contains(number)) return fmt::format("pipeline {} lives in the checkpoint alone", number);
  }
  for (const auto& [number, workflow] : newer.workflows()) {
    const auto found = older.workflows().find(number);
    const bool same = found != older.workflows().end() && found->second.name == workflow.name &&
                      found->second.version == workflow.version && found->second.tasks == workflow.tasks &&
                      found->second.definition == workflow.definition;
    if (!same) return fmt::format("workflow {} is another one", number);
  }
  const auto alike = [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.task == b.second.task && a.second.attempt == b.second.attempt &&
           a.second.error == b.second.error;
  };
  if (!std::ranges::equal(older.quarantine(), newer.quarantine(), alike))
    return "other tasks are in quarantine";
  if (older.schedules() != newer.schedules()) return "the schedules are others";
  if (older.keys() != newer.keys()) return "the executor keys are others";
  // A round leaves out idempotency keys whose windows are over.
  for (const auto& [key, submission] : newer.submissions()) {
    const auto found = older.submissions().find(key);
    if (found == older.submissions().end() || found->second != submission)
      return "an idempotency key is another's";
  }
  if (older.pauses() != newer.pauses()) return "other keys or namespaces are paused";
  return {};
}

}  // namespace leat
