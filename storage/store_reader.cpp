// Reads a store beside its owner: a first pass checks everything, so that nothing told must be taken back.
#include "leat/store_reader.h"

#include <fmt/format.h>

#include <utility>

#include "journal_family.h"
#include "journal_fold.h"
#include "journal_recovery.h"
#include "store_directory.h"

namespace leat {
namespace {

// A live writer replaces logs, tables and manifest while RocksDB looks them up. Each try meets at most one
// such change, and they are megabytes of writing apart.
constexpr int kTries = 8;

/// Everything from where the events begin.
std::expected<StoreImage, StoreError> fold(const JournalDb& journal,
                                           const std::function<void(const TransitionEvent&)>& on_event) {
  const auto marks = journal.marks();
  if (!marks) return std::unexpected(marks.error());
  return fold_events(journal, marks->oldest(), StoreImage::Keep::Everything, {.on_event = on_event});
}

std::expected<StoreImage, StoreError> read_once(const std::string& directory,
                                                const std::function<void(const TransitionEvent&)>& on_event) {
  const auto block = read_superblock(directory);
  if (!block) return std::unexpected(block.error());
  if (!block->created) return StoreImage(StoreImage::Keep::Everything);
  if (block->repairing != 0) return std::unexpected(repair_was_cut_short(directory));
  const auto promise = read_promise(directory, *block, current_boot());
  if (!promise) return std::unexpected(promise.error());

  rocksdb::DBOptions options = journal_db_options(rocksdb::Env::Default());
  // A live log's tail may be half written.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  const auto journal = JournalDb::open(directory, JournalDb::Access::Read, options);
  if (!journal) return std::unexpected(to_store_error(journal.error(), "opening"));
  auto image = fold(*journal, {});
  if (!image) return image;
  const std::uint64_t end = image->end_sequence() == 0 ? block->journal_end : image->end_sequence();
  // A writer that came meanwhile may have gone beyond what the superblock allowed when it was read.
  const Promise at_least = {.end_min = promise->end_min, .end_max = std::max(end, promise->end_max)};
  if (auto kept = check_promise(directory, at_least, end); !kept)
    return std::unexpected(std::move(kept.error()));
  return on_event ? fold(*journal, on_event) : std::move(image);
}

}  // namespace

std::expected<StoreImage, StoreError> read_rocksdb_store(
    const std::string& directory, const std::function<void(const TransitionEvent&)>& on_event) {
  for (int tries = 1;; ++tries) {
    auto image = read_once(directory, on_event);
    if (image) return image;
    const StoreErrorCode code = image.error().code;
    const bool may_pass = code == StoreErrorCode::Damaged || code == StoreErrorCode::Io;
    if (!may_pass || tries == kTries) {
      if (!image.error().message.starts_with(directory)) {
        image.error().message = fmt::format("{}: {}", directory, image.error().message);
      }
      return image;
    }
  }
}

}  // namespace leat
