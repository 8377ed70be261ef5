// leat in a caller's database: what is configured, and what is refused.
#include "rocksdb_embedding.h"

#include <fmt/format.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "journal_family.h"
#include "leat/rocksdb.h"
#include "rocksdb_store.h"
#include "store_examination.h"
#include "surroundings.h"

namespace leat {
namespace {

constexpr std::string_view kFamilyPrefix = "leat.";

std::unexpected<StoreError> refuse(std::string message) {
  return std::unexpected(StoreError{StoreErrorCode::Refused, std::move(message)});
}

std::string family_name(const std::string& owner, std::string_view family) {
  return fmt::format("{}{}.{}", kFamilyPrefix, owner, family);
}

bool is_owner(const std::string& owner) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !owner.empty() && owner.size() <= 64 && std::ranges::all_of(owner, allowed);
}

std::string directory_in(rocksdb::DB& db, const std::string& owner) {
  return db.GetName() + "/leat-" + owner;
}

/// @return  the default family and the owner's, as journal_families() lists them, or Refused
std::expected<std::vector<rocksdb::ColumnFamilyHandle*>, StoreError> find_own(
    const std::string& owner, rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families) {
  if (!is_owner(owner)) {
    return refuse(fmt::format("owner '{}' (accepted: 1 to 64 letters, digits, - and _)", owner));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> own = {db.DefaultColumnFamily()};
  for (const rocksdb::ColumnFamilyDescriptor& family : journal_families()) {
    if (family.name == rocksdb::kDefaultColumnFamilyName) continue;
    const std::string name = family_name(owner, family.name);
    const auto found =
        std::ranges::find_if(families, [&](const auto* one) { return one->GetName() == name; });
    if (found == families.end()) {
      return refuse(
          fmt::format("the database has no column family {}; RocksdbStore::configure() adds it", name));
    }
    rocksdb::ColumnFamilyDescriptor has;
    if (const rocksdb::Status status = (*found)->GetDescriptor(&has); !status.ok())
      return std::unexpected(to_store_error(status, "looking at the column family " + name));
    if (auto fit = check_family(has); !fit) return std::unexpected(std::move(fit.error()));
    own.push_back(*found);
  }
  return own;
}

/// Whether a database that is just open holds writes up, or slows them down.
bool stalls(rocksdb::DB& db) {
  std::uint64_t stopped = 0;
  std::uint64_t rate = 0;
  const bool known = db.GetIntProperty(rocksdb::DB::Properties::kIsWriteStopped, &stopped) &&
                     db.GetIntProperty(rocksdb::DB::Properties::kActualDelayedWriteRate, &rate);
  return !known || stopped != 0 || rate != 0;
}

/// Walks through a caller's batch and refuses what RocksDB would find out about only in its log's wake.
class WritesChecker final : public rocksdb::WriteBatch::Handler {
 public:
  explicit WritesChecker(const CallerFamilies& families) : families_(families) {}

  rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return look(family, "a put", [](const CallerFamily&) { return ""; });
  }
  rocksdb::Status DeleteCF(std::uint32_t family, const rocksdb::Slice&) override {
    return look(family, "a delete", [](const CallerFamily&) { return ""; });
  }
  rocksdb::Status SingleDeleteCF(std::uint32_t family, const rocksdb::Slice&) override {
    return look(family, "a delete", [](const CallerFamily&) { return ""; });
  }
  rocksdb::Status DeleteRangeCF(std::uint32_t family, const rocksdb::Slice& begin,
                                const rocksdb::Slice& end) override {
    return look(family, "a delete of a range", [&](const CallerFamily& into) {
      if (!into.deletes_ranges) return "its tables know none";
      return into.comparator->Compare(begin, end) > 0 ? "it ends before it begins" : "";
    });
  }
  rocksdb::Status MergeCF(std::uint32_t family, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return look(family, "a merge",
                [](const CallerFamily& into) { return into.merges ? "" : "it has no merge_operator"; });
  }

  /// What ended the walk; empty: a write that is none of these.
  const std::string& why() const { return why_; }

 private:
  /// @param objection  to a write into this family; empty: none
  template <class Objection>
  rocksdb::Status look(std::uint32_t number, std::string_view write, const Objection& objection) {
    const auto found = families_.find(number);
    if (found == families_.end()) {
      why_ = fmt::format("{} in the column family number {}, which open_in() was not given", write, number);
      return rocksdb::Status::Aborted();
    }
    const CallerFamily& into = found->second;
    std::string_view what = objection(into);
    if (into.has_timestamps) what = "it has timestamps";
    if (into.ours) what = "it is one of leat's own families";
    if (what.empty()) return rocksdb::Status::OK();
    why_ = fmt::format("{} in the column family {}: {}", write, into.name, what);
    return rocksdb::Status::Aborted();
  }

  const CallerFamilies& families_;
  std::string why_;
};

}  // namespace

std::expected<void, StoreError> check_options(const rocksdb::DBOptions& options) {
  using rocksdb::WALRecoveryMode;
  const auto needs = [](std::string_view option, std::string_view value) {
    return refuse(
        fmt::format("the database's option {} must be {}; RocksdbStore::configure() sets it", option, value));
  };
  if (options.unordered_write) return needs("unordered_write", "false");
  if (options.enable_pipelined_write) return needs("enable_pipelined_write", "false");
  if (options.two_write_queues) return needs("two_write_queues", "false");
  if (options.manual_wal_flush) return needs("manual_wal_flush", "false");
  if (!options.paranoid_checks) return needs("paranoid_checks", "true");
  if (options.wal_recovery_mode != WALRecoveryMode::kAbsoluteConsistency &&
      options.wal_recovery_mode != WALRecoveryMode::kPointInTimeRecovery) {
    return needs("wal_recovery_mode", "kPointInTimeRecovery or kAbsoluteConsistency");
  }
  return {};
}

std::expected<void, StoreError> check_family(const rocksdb::ColumnFamilyDescriptor& family) {
  const rocksdb::ColumnFamilyOptions& options = family.options;
  const auto needs = [&family](std::string_view option, std::string_view value) {
    return refuse(
        fmt::format("the option {} of the column family {} must be {}; RocksdbStore::configure() sets it",
                    option, family.name, value));
  };
  if (options.comparator != rocksdb::BytewiseComparator()) return needs("comparator", "BytewiseComparator()");
  if (options.compaction_style == rocksdb::kCompactionStyleFIFO)  // it drops the oldest
    return needs("compaction_style", "kCompactionStyleLevel");
  if (options.compaction_filter != nullptr) return needs("compaction_filter", "null");
  if (options.compaction_filter_factory != nullptr) return needs("compaction_filter_factory", "null");
  if (options.inplace_update_support) return needs("inplace_update_support", "false");
  if (options.prefix_extractor != nullptr) return needs("prefix_extractor", "null");
  if (!options.table_factory->IsDeleteRangeSupported())
    return needs("table_factory", "one of block-based tables");
  return {};
}

std::expected<CallerFamilies, StoreError> list_families(
    rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families) {
  std::vector<rocksdb::ColumnFamilyHandle*> all = {db.DefaultColumnFamily()};
  all.insert(all.end(), families.begin(), families.end());
  CallerFamilies listed;
  for (rocksdb::ColumnFamilyHandle* const handle : all) {
    rocksdb::ColumnFamilyDescriptor family;
    if (const rocksdb::Status status = handle->GetDescriptor(&family); !status.ok())
      return std::unexpected(to_store_error(status, "looking at the column family " + handle->GetName()));
    const rocksdb::ColumnFamilyOptions& options = family.options;
    listed[handle->GetID()] = {.name = family.name,
                               .ours = family.name.starts_with(kFamilyPrefix),
                               .has_timestamps = options.comparator->timestamp_size() != 0,
                               .merges = options.merge_operator != nullptr,
                               .deletes_ranges = options.table_factory->IsDeleteRangeSupported(),
                               .comparator = options.comparator};
  }
  return listed;
}

std::expected<void, StoreError> check_writes(const rocksdb::WriteBatch& batch,
                                             const CallerFamilies& families) {
  WritesChecker checker(families);
  // What a checker does not expect, marks of transactions above all, ends the walk with an error.
  const rocksdb::Status status = batch.Iterate(&checker);
  if (status.ok()) return {};
  return refuse(
      fmt::format("the caller's writes: {}", checker.why().empty() ? status.ToString() : checker.why()));
}

RocksdbStore::RocksdbStore(std::string_view owner)
    : owner_(owner), stalls_(std::make_shared<StallListener>()) {}

void RocksdbStore::configure(rocksdb::DBOptions& options,
                             std::vector<rocksdb::ColumnFamilyDescriptor>& families) const {
  options.unordered_write = false;
  options.enable_pipelined_write = false;
  options.two_write_queues = false;
  options.manual_wal_flush = false;
  options.paranoid_checks = true;
  // A torn tail is innocent; whether more is missing, open_in() tells by leat's own facts.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.max_total_wal_size = journal_db_options(options.env).max_total_wal_size;
  options.max_bgerror_resume_count = 0;
  options.create_missing_column_families = true;
  static_cast<StallListener&>(*stalls_).forget();
  options.listeners.push_back(stalls_);
  for (const rocksdb::ColumnFamilyDescriptor& family : journal_families()) {
    if (family.name == rocksdb::kDefaultColumnFamilyName) continue;
    families.emplace_back(family_name(owner_, family.name), family.options);
  }
}

std::expected<std::unique_ptr<StateStore>, StoreError> RocksdbStore::open_in(
    rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families) const {
  if (auto fit = check_options(db.GetDBOptions()); !fit) return std::unexpected(std::move(fit.error()));
  const auto own = find_own(owner_, db, families);
  if (!own) return std::unexpected(own.error());
  // What is there may be of an earlier opening with the same options.
  if (!stalls(db)) static_cast<StallListener&>(*stalls_).forget();
  auto listed = list_families(db, families);
  if (!listed) return std::unexpected(std::move(listed.error()));
  return open_borrowed_store(
      db, *own, std::move(*listed), directory_in(db, owner_),
      StoreEnvironment{.env = db.GetEnv(), .stalls = std::static_pointer_cast<StallListener>(stalls_)});
}

std::expected<std::vector<StoreError>, StoreError> RocksdbStore::verify_in(
    rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families) const {
  const auto own = find_own(owner_, db, families);
  if (!own) return std::unexpected(own.error());
  return verify_borrowed_store(JournalDb::borrow(db, *own), directory_in(db, owner_));
}

}  // namespace leat
