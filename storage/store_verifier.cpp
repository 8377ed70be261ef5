// Examines a store at rest.
#include "leat/store_verifier.h"

#include <fmt/format.h>

#include <utility>

#include "journal_family.h"
#include "journal_recovery.h"
#include "leat/store_image.h"
#include "store_directory.h"

namespace leat {
namespace {

/// Collects findings; what depends on a part that is broken is left out.
class Examination {
 public:
  Examination(const std::string& directory, const Superblock& block) : directory_(directory), block_(block) {}

  std::vector<StoreError> run() {
    examine_floor();
    if (block_.created) examine_journal();
    return std::move(findings_);
  }

 private:
  void report(StoreError&& what) {
    if (!what.message.starts_with(directory_)) what.message = fmt::format("{}: {}", directory_, what.message);
    findings_.push_back(std::move(what));
  }

  void examine_floor() {
    if (!block_.created) return;
    bool flawed = false;
    const auto floor = read_floor(directory_, &flawed);
    // A crash may leave one sector unwritten, an orderly close does not.
    if (floor && flawed && block_.clean) {
      report({StoreErrorCode::Damaged, "FLOOR: one of its two sectors is damaged"});
    }
    if (!floor && block_.clean) report(StoreError(floor.error()));
  }

  void examine_journal() {
    const StoreEnvironment environment;
    if (block_.clean && manifest_digest(directory_, *environment.env) != block_.manifest) {
      report({StoreErrorCode::Damaged,
              "CURRENT or the MANIFEST that it names was altered since the store was closed"});
    }
    const auto mode = recovery_mode(directory_, block_, environment);
    if (!mode) return report(StoreError(mode.error()));
    rocksdb::DBOptions options = journal_db_options(environment.env);
    options.wal_recovery_mode = *mode;
    const auto journal = JournalDb::open(directory_, JournalDb::Access::Read, options);
    if (!journal) return report(to_store_error(journal.error(), "opening"));
    if (const auto status = journal->db().VerifyFileChecksums(rocksdb::ReadOptions()); !status.ok()) {
      report(to_store_error(status, "the checksums of files"));
    }
    if (const auto status = journal->db().VerifyChecksum(); !status.ok()) {
      report(to_store_error(status, "the checksums of blocks"));
    }
    examine_commits(*journal);
  }

  void examine_commits(const JournalDb& journal) {
    StoreImage image(StoreImage::Keep::Unfinished);
    auto folded = journal.replay([&image](std::uint64_t first_sequence, std::span<const std::byte> commit) {
      return image.apply(first_sequence, commit);
    });
    if (!folded) return report(std::move(folded.error()));
    const auto promise = read_promise(directory_, block_, current_boot());
    if (!promise) return report(StoreError(promise.error()));
    const std::uint64_t end = image.end_sequence() == 0 ? block_.journal_end : image.end_sequence();
    if (auto kept = check_promise(directory_, *promise, end); !kept) report(std::move(kept.error()));
  }

  const std::string& directory_;
  const Superblock block_;
  std::vector<StoreError> findings_;
};

}  // namespace

std::expected<std::vector<StoreError>, StoreError> verify_rocksdb_store(const std::string& directory) {
  const auto lock = DirectoryLock::take(directory);
  if (!lock) return std::unexpected(lock.error());
  const auto block = read_superblock(directory);
  if (block) return Examination(directory, *block).run();
  const StoreErrorCode code = block.error().code;
  if (code != StoreErrorCode::Damaged && code != StoreErrorCode::NewerFormat)
    return std::unexpected(block.error());
  return std::vector<StoreError>{block.error()};
}

}  // namespace leat
