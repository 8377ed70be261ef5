#include "history_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "commit.h"

namespace leat {
namespace {

std::unexpected<StoreError> disagree(std::uint64_t first, std::string_view what) {
  return std::unexpected(
      StoreError{StoreErrorCode::Damaged,
                 fmt::format("the history and the journal disagree at commit {}: {}", first, what)});
}

std::uint32_t count(const PipelineImage& pipeline, TaskState state) {
  return static_cast<std::uint32_t>(std::ranges::count(pipeline.tasks, state, &TaskImage::state));
}

}  // namespace

void FinishedPipelines::add(const PipelineImage& pipeline) {
  PipelineSummary summary{.id = pipeline.id,
                          .workflow_no = pipeline.workflow_no,
                          .state = pipeline.state,
                          .tasks = static_cast<std::uint32_t>(pipeline.tasks.size()),
                          .completed = count(pipeline, TaskState::Completed),
                          .failed = count(pipeline, TaskState::Failed),
                          .skipped = count(pipeline, TaskState::Skipped),
                          .created_ns = pipeline.created_ns,
                          .finished_ns = pipeline.finished_ns};
  const auto failed = std::ranges::find_if(pipeline.tasks, [](const TaskImage& task) {
    return task.state == TaskState::Failed && !task.error.empty();
  });
  if (failed != pipeline.tasks.end()) {
    const std::string_view error = failed->error;
    errors_.push_back(std::make_unique<std::string>(error.substr(0, kSummaryErrorBytesMax)));
    summary.error = *errors_.back();
  }
  summaries_.push_back(summary);
}

void FinishedPipelines::clear() {
  summaries_.clear();
  errors_.clear();
}

HistoryCheck::HistoryCheck(const JournalDb& journal, std::uint64_t exact_from) : exact_from_(exact_from) {
  if (journal.history() == nullptr) return;
  at_ = journal.scan(journal.history());
  at_->SeekToFirst();
  if (!at_->Valid()) at_ = nullptr;
}

std::expected<void, StoreError> HistoryCheck::committed(std::uint64_t first,
                                                        const FinishedPipelines& finished) {
  if (at_ == nullptr) return {};
  while (at_->Valid()) {
    const auto next = sequence_in(at_->key());
    if (!next) return std::unexpected(next.error());
    if (!begin_) begin_ = *next;
    if (*next >= first) break;
    if (*next >= exact_from_) return disagree(*next, "the journal has no such commit");
    at_->Next();
  }
  if (!at_->status().ok()) return std::unexpected(to_store_error(at_->status(), "reading the history"));
  return compare(first, finished);
}

/// The history stands at the commit, or behind it.
std::expected<void, StoreError> HistoryCheck::compare(std::uint64_t first,
                                                      const FinishedPipelines& finished) {
  const std::vector<PipelineSummary>& expected = finished.summaries();
  const bool has_pack = at_->Valid() && *sequence_in(at_->key()) == first;
  // Before its beginning the history was dropped, or not kept yet.
  if (!has_pack && (expected.empty() || !begin_ || first < *begin_)) return {};
  if (!has_pack) return disagree(first, fmt::format("pipeline {} finished", expected.front().id.to_string()));
  const rocksdb::Slice value = at_->value();
  auto pack =
      HistoryPackReader::open(first, {reinterpret_cast<const std::byte*>(value.data()), value.size()});
  if (!pack) return std::unexpected(std::move(pack.error()));
  auto next_expected = expected.begin();
  for (;;) {
    const auto summary = pack->next();
    if (!summary) return std::unexpected(summary.error());
    if (*summary == nullptr) break;
    if (next_expected != expected.end() && **summary == *next_expected) {
      ++next_expected;
    } else if (first >= exact_from_) {
      return disagree(first, fmt::format("it did not finish pipeline {} so", (*summary)->id.to_string()));
    }
  }
  at_->Next();
  if (next_expected == expected.end()) return {};
  return disagree(first, fmt::format("it finished pipeline {}", next_expected->id.to_string()));
}

}  // namespace leat
