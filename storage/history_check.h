// Whether the history says what the journal says, and the history anew from the journal. Private: includes
// RocksDB.
#pragma once

#include <rocksdb/iterator.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "history_pack.h"
#include "journal_family.h"
#include "leat/history.h"
#include "leat/store_error.h"
#include "leat/store_image.h"

namespace leat {

/// The summaries of the pipelines that one commit finished, as the journal's fold has them.
class FinishedPipelines {
 public:
  /// Of a pipeline that has just finished.
  void add(const PipelineImage& pipeline);
  void clear();

  /// Their views point into this.
  const std::vector<PipelineSummary>& summaries() const noexcept { return summaries_; }

 private:
  std::vector<PipelineSummary> summaries_;
  std::vector<std::unique_ptr<std::string>> errors_;
};

/// Goes through the history beside a fold of the journal.
class HistoryCheck {
 public:
  /// @param exact_from  below this number the fold does not know all that finished
  HistoryCheck(const JournalDb& journal, std::uint64_t exact_from);

  /// The fold has applied the commit `first`, which finished these.
  ///
  /// @return  Damaged, with what they disagree about
  std::expected<void, StoreError> committed(std::uint64_t first, const FinishedPipelines& finished);

 private:
  std::expected<void, StoreError> compare(std::uint64_t first, const FinishedPipelines& finished);

  const std::uint64_t exact_from_;
  std::unique_ptr<rocksdb::Iterator> at_;  // null: there is no history
  std::optional<std::uint64_t> begin_;     // of the history
};

}  // namespace leat
