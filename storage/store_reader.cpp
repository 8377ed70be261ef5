// Reads a store beside its owner: a first pass checks everything, so that nothing told must be taken back.
#include "leat/store_reader.h"

#include <fmt/format.h>

#include <utility>

#include "contexts_family.h"
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

std::expected<JournalDb, StoreError> open_to_read(const std::string& directory, const Superblock& block) {
  if (block.repairing != 0) return std::unexpected(repair_was_cut_short(directory));
  rocksdb::DBOptions options = journal_db_options(rocksdb::Env::Default());
  // A live log's tail may be half written.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  auto journal = JournalDb::open(directory, JournalDb::Access::Read, options);
  if (!journal) return std::unexpected(to_store_error(journal.error(), "opening"));
  return std::move(*journal);
}

std::expected<StoreImage, StoreError> read_once(const std::string& directory,
                                                const std::function<void(const TransitionEvent&)>& on_event) {
  const auto block = read_superblock(directory);
  if (!block) return std::unexpected(block.error());
  if (!block->created) return StoreImage(StoreImage::Keep::Everything);
  const auto promise = read_promise(directory, *block, current_boot());
  if (!promise) return std::unexpected(promise.error());
  const auto journal = open_to_read(directory, *block);
  if (!journal) return std::unexpected(journal.error());
  auto image = fold(*journal, {});
  if (!image) return image;
  const std::uint64_t end = image->end_sequence() == 0 ? block->journal_end : image->end_sequence();
  // A writer that came meanwhile may have gone beyond what the superblock allowed when it was read.
  const Promise at_least = {.end_min = promise->end_min, .end_max = std::max(end, promise->end_max)};
  if (auto kept = check_promise(directory, at_least, end); !kept)
    return std::unexpected(std::move(kept.error()));
  return on_event ? fold(*journal, on_event) : std::move(image);
}

std::expected<void, StoreError> read_contexts_once(
    const std::string& directory, const std::function<void(const ContextPlace&, std::string_view)>& visit) {
  const auto block = read_superblock(directory);
  if (!block) return std::unexpected(block.error());
  if (!block->created) return {};
  const auto journal = open_to_read(directory, *block);
  if (!journal) return std::unexpected(journal.error());
  if (journal->contexts() == nullptr) return {};
  const auto at = journal->scan(journal->contexts());
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const auto place = place_in(at->key());
    if (!place)
      return std::unexpected(StoreError{StoreErrorCode::Damaged, "a key of the contexts is not a place"});
    visit(*place, at->value().ToStringView());
  }
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the contexts"));
  return {};
}

/// Reads again while it fails in a way that may pass.
template <class Read>
auto read_beside_writer(const std::string& directory, const Read& read_once) {
  for (int tries = 1;; ++tries) {
    auto done = read_once();
    if (done) return done;
    const StoreErrorCode code = done.error().code;
    const bool may_pass = code == StoreErrorCode::Damaged || code == StoreErrorCode::Io;
    if (!may_pass || tries == kTries) {
      std::string& message = done.error().message;
      if (!message.starts_with(directory)) message = fmt::format("{}: {}", directory, message);
      return done;
    }
  }
}

}  // namespace

std::expected<StoreImage, StoreError> read_rocksdb_store(
    const std::string& directory, const std::function<void(const TransitionEvent&)>& on_event) {
  return read_beside_writer(directory, [&] { return read_once(directory, on_event); });
}

std::expected<void, StoreError> read_rocksdb_contexts(
    const std::string& directory, const std::function<void(const ContextPlace&, std::string_view)>& visit) {
  return read_beside_writer(directory, [&] { return read_contexts_once(directory, visit); });
}

}  // namespace leat
