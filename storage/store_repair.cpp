// Rebuilds what follows from the rest of a store that was closed, where a checksum or the journal proves the
// result.
#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <set>
#include <utility>

#include "journal_family.h"
#include "leat/store_verifier.h"
#include "rocksdb_store.h"
#include "store_directory.h"
#include "store_examination.h"
#include "store_rebuild.h"

namespace leat {
namespace {

/// Writes CURRENT again where one of the manifests gives what the superblock remembers.
///
/// @return  what was done; empty: nothing could be proven
std::expected<std::string, StoreError> rebuild_current(const std::string& directory, const Superblock& block,
                                                       rocksdb::Env& env) {
  std::vector<std::string> names;
  env.GetChildren(directory, &names).PermitUncheckedError();  // none is found then
  for (const std::string& name : names) {
    const std::string current = name + "\n";
    if (!name.starts_with("MANIFEST-") || manifest_digest(directory, env, current) != block.manifest)
      continue;
    const std::string temporary = directory + "/CURRENT.new";
    rocksdb::FileSystem& files = *env.GetFileSystem();
    rocksdb::Status status = rocksdb::WriteStringToFile(&files, current, temporary, true);
    if (status.ok()) status = files.RenameFile(temporary, directory + "/CURRENT", {}, nullptr);
    std::unique_ptr<rocksdb::FSDirectory> place;
    if (status.ok()) status = files.NewDirectory(directory, {}, &place, nullptr);
    if (status.ok()) status = place->Fsync({}, nullptr);
    if (!status.ok())
      return std::unexpected(to_store_error(status, fmt::format("rebuilding {}/CURRENT", directory)));
    return fmt::format("CURRENT: rebuilt, it names {}", name);
  }
  return std::string();
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

std::expected<RepairReport, StoreError> repair_rocksdb_store(const std::string& directory) {
  return repair_rocksdb_store(directory, *rocksdb::Env::Default());
}

std::expected<RepairReport, StoreError> repair_rocksdb_store(const std::string& directory,
                                                             rocksdb::Env& env) {
  if (auto block = read_superblock(directory); !block) {
    if (block.error().code != StoreErrorCode::Damaged) return std::unexpected(std::move(block.error()));
    return RepairReport();  // nothing else tells what the superblock told
  }
  auto place = StoreDirectory::open(directory);
  if (!place) return std::unexpected(std::move(place.error()));
  const Superblock& block = place->superblock();
  RepairReport report;
  if (!block.clean) return report;  // the next opening recovers it
  if (block.manifest != 0 && manifest_digest(directory, env) != block.manifest) {
    auto rebuilt = rebuild_current(directory, block, env);
    if (!rebuilt) return std::unexpected(std::move(rebuilt.error()));
    if (!rebuilt->empty()) report.done.push_back(std::move(*rebuilt));
  }
  bool flawed = false;
  if (!read_floor(directory, &flawed) || flawed) {
    if (auto rebuilt = place->rebuild_floor(); !rebuilt) return std::unexpected(std::move(rebuilt.error()));
    report.done.push_back(fmt::format("FLOOR: rebuilt, all below {} is acknowledged", block.journal_end));
  }
  const std::set<std::string> broken = broken_families(directory, block);
  if (block.repairing != 0 || !broken.empty()) {
    if (auto rebuilt = rebuild_families(*place, broken, env, report); !rebuilt)
      return std::unexpected(std::move(rebuilt.error()));
  }
  return report;
}

}  // namespace leat
