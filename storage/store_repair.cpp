// Rebuilds what follows from the rest of a store that was closed, where a checksum or the journal proves the
// result.
#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "contexts_check.h"
#include "history_check.h"
#include "journal_family.h"
#include "leat/store_verifier.h"
#include "store_directory.h"
#include "store_examination.h"
#include "table_check.h"

namespace leat {
namespace {

/// Writes CURRENT again where one of the manifests gives what the superblock remembers.
///
/// @return  what was done; empty: nothing could be proven
std::expected<std::string, StoreError> rebuild_current(const std::string& directory,
                                                       const Superblock& block) {
  rocksdb::Env& env = *rocksdb::Env::Default();
  std::vector<std::string> names;
  env.GetChildren(directory, &names).PermitUncheckedError();  // none is found then
  for (const std::string& name : names) {
    const std::string current = name + "\n";
    if (!name.starts_with("MANIFEST-") || manifest_digest(directory, env, current) != block.manifest)
      continue;
    const std::string temporary = directory + "/CURRENT.new";
    rocksdb::Status status = rocksdb::WriteStringToFile(&env, current, temporary, true);
    if (status.ok()) status = env.RenameFile(temporary, directory + "/CURRENT");
    std::unique_ptr<rocksdb::Directory> place;
    if (status.ok()) status = env.NewDirectory(directory, &place);
    if (status.ok()) status = place->Fsync();
    if (!status.ok())
      return std::unexpected(to_store_error(status, fmt::format("rebuilding {}/CURRENT", directory)));
    return fmt::format("CURRENT: rebuilt, it names {}", name);
  }
  return std::string();
}

/// Whether the journal is whole from the store's first commit on, so that all else follows from it.
bool holds_everything(const JournalDb& journal, const Superblock& block) {
  StoreImage image(StoreImage::Keep::Unfinished);
  const auto done = journal.replay([&image](std::uint64_t first, std::span<const std::byte> commit) {
    return image.apply(first, commit);
  });
  return done && image.end_sequence() == block.journal_end && image.hash() == block.journal_hash;
}

/// Makes the checkpoint or the history anew out of the journal.
///
/// @param broken  their families
/// @return        what was done; empty: the journal does not go back far enough
std::expected<std::vector<std::string>, StoreError> rebuild_families(StoreDirectory& place,
                                                                     const std::set<std::string>& broken) {
  const std::string& directory = place.path();
  const auto altered = find_altered_tables(directory, *rocksdb::Env::Default());
  if (!altered) return std::unexpected(altered.error());
  const auto is_altered = [&altered](const std::string& name) {
    return std::ranges::find(*altered, name, &AlteredTable::name) != altered->end();
  };
  EnvWithout env(*rocksdb::Env::Default(), is_altered, true);
  rocksdb::DBOptions options = journal_db_options(&env);
  options.paranoid_checks = false;  // else a table that cannot be opened fails the opening
  {
    const auto journal = JournalDb::open(directory, JournalDb::Access::Read, options);
    if (!journal || !holds_everything(*journal, place.superblock())) return std::vector<std::string>();
  }
  Superblock block = place.superblock();
  block.manifest = 0;  // its list of files is about to change
  if (auto begun = place.replace(block); !begun) return std::unexpected(std::move(begun.error()));
  auto journal = JournalDb::open(directory, JournalDb::Access::Write, options);
  if (!journal) return std::unexpected(to_store_error(journal.error(), fmt::format("opening {}", directory)));
  std::vector<std::string> done;
  for (const std::string& family : broken) {
    if (family == kContextsFamily) continue;  // of it the list alone follows, see below
    const rocksdb::Status status = journal->renew(family);
    if (!status.ok()) return std::unexpected(to_store_error(status, fmt::format("renewing {}", family)));
    if (family == kHistoryFamily) {
      if (auto rebuilt = rebuild_history(*journal); !rebuilt)
        return std::unexpected(std::move(rebuilt.error()));
    }
    done.push_back(family == kHistoryFamily
                       ? std::string("history: rebuilt from the journal")
                       : std::string("checkpoint: dropped, the journal holds all that it held"));
  }
  if (broken.contains(std::string(kContextsFamily)) || broken.contains(std::string(kCheckpointFamily))) {
    const auto marks = journal->marks();
    if (!marks) return std::unexpected(marks.error());
    if (auto rebuilt = rebuild_contexts(*journal, marks->oldest()); !rebuilt)
      return std::unexpected(std::move(rebuilt.error()));
    if (broken.contains(std::string(kContextsFamily)))
      done.push_back("contexts: those that no record has a mark of are freed, the others listed anew");
  }
  rocksdb::Status status =
      journal->db().Flush(rocksdb::FlushOptions(), {journal->families().begin(), journal->families().end()});
  if (status.ok()) status = journal->close();
  if (!status.ok()) return std::unexpected(to_store_error(status, fmt::format("closing {}", directory)));
  block.manifest = manifest_digest(directory, *rocksdb::Env::Default());
  if (auto ended = place.replace(block); !ended) return std::unexpected(std::move(ended.error()));
  return done;
}

/// The families of all that is wrong. @return  none: something else is wrong, or nothing
std::set<std::string> broken_families(const std::string& directory, const Superblock& block) {
  std::set<std::string> families;
  for (const Finding& finding : examine_store(directory, block)) {
    if (finding.derived.empty()) return {};
    families.insert(finding.derived);
  }
  return families;
}

}  // namespace

std::expected<std::vector<std::string>, StoreError> repair_rocksdb_store(const std::string& directory) {
  if (auto block = read_superblock(directory); !block) {
    if (block.error().code != StoreErrorCode::Damaged) return std::unexpected(std::move(block.error()));
    return std::vector<std::string>();  // nothing else tells what the superblock told
  }
  auto place = StoreDirectory::open(directory);
  if (!place) return std::unexpected(std::move(place.error()));
  const Superblock& block = place->superblock();
  std::vector<std::string> done;
  if (!block.clean) return done;  // the next opening recovers it
  if (block.manifest != 0 && manifest_digest(directory, *rocksdb::Env::Default()) != block.manifest) {
    auto rebuilt = rebuild_current(directory, block);
    if (!rebuilt) return std::unexpected(std::move(rebuilt.error()));
    if (!rebuilt->empty()) done.push_back(std::move(*rebuilt));
  }
  bool flawed = false;
  if (!read_floor(directory, &flawed) || flawed) {
    if (auto rebuilt = place->rebuild_floor(); !rebuilt) return std::unexpected(std::move(rebuilt.error()));
    done.push_back(fmt::format("FLOOR: rebuilt, all below {} is acknowledged", block.journal_end));
  }
  if (const std::set<std::string> broken = broken_families(directory, block); !broken.empty()) {
    auto rebuilt = rebuild_families(*place, broken);
    if (!rebuilt) return std::unexpected(std::move(rebuilt.error()));
    std::ranges::move(*rebuilt, std::back_inserter(done));
  }
  return done;
}

}  // namespace leat
