// leat in a caller's database: what is configured, and what is refused.
#include "rocksdb_embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "journal_family.h"
#include "leat/rocksdb.h"
#include "rocksdb_store.h"
#include "surroundings.h"

namespace leat {
namespace {

std::unexpected<StoreError> refuse(std::string message) {
  return std::unexpected(StoreError{StoreErrorCode::Refused, std::move(message)});
}

std::string family_name(const std::string& owner, std::string_view family) {
  return fmt::format("leat.{}.{}", owner, family);
}

bool is_owner(const std::string& owner) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !owner.empty() && owner.size() <= 64 && std::ranges::all_of(owner, allowed);
}

/// Walks through a caller's batch.
class WritesChecker final : public rocksdb::WriteBatch::Handler {
 public:
  explicit WritesChecker(std::span<rocksdb::ColumnFamilyHandle* const> own) : own_(own) {}

  rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return look(family);
  }
  rocksdb::Status DeleteCF(std::uint32_t family, const rocksdb::Slice&) override { return look(family); }
  rocksdb::Status SingleDeleteCF(std::uint32_t family, const rocksdb::Slice&) override {
    return look(family);
  }
  rocksdb::Status DeleteRangeCF(std::uint32_t family, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return look(family);
  }
  rocksdb::Status MergeCF(std::uint32_t family, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return look(family);
  }

 private:
  rocksdb::Status look(std::uint32_t family) const {
    const bool ours = std::ranges::any_of(own_.subspan(1),
                                          [family](const auto* handle) { return handle->GetID() == family; });
    return ours ? rocksdb::Status::InvalidArgument("it writes into leat's own families")
                : rocksdb::Status::OK();
  }

  const std::span<rocksdb::ColumnFamilyHandle* const> own_;
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

std::expected<void, StoreError> check_writes(const rocksdb::WriteBatch& batch,
                                             std::span<rocksdb::ColumnFamilyHandle* const> own) {
  WritesChecker checker(own);
  // What a checker does not expect, marks of transactions above all, ends the walk with an error.
  const rocksdb::Status status = batch.Iterate(&checker);
  if (status.ok()) return {};
  return refuse(fmt::format("the caller's writes: {}", status.ToString()));
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
  options.listeners.push_back(stalls_);
  for (const rocksdb::ColumnFamilyDescriptor& family : journal_families()) {
    if (family.name == rocksdb::kDefaultColumnFamilyName) continue;
    families.emplace_back(family_name(owner_, family.name), family.options);
  }
}

std::expected<std::unique_ptr<StateStore>, StoreError> RocksdbStore::open_in(
    rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families) const {
  if (!is_owner(owner_)) {
    return refuse(fmt::format("owner '{}' (accepted: 1 to 64 letters, digits, - and _)", owner_));
  }
  if (auto fit = check_options(db.GetDBOptions()); !fit) return std::unexpected(std::move(fit.error()));
  std::vector<rocksdb::ColumnFamilyHandle*> own = {db.DefaultColumnFamily()};
  for (const rocksdb::ColumnFamilyDescriptor& family : journal_families()) {
    if (family.name == rocksdb::kDefaultColumnFamilyName) continue;
    const std::string name = family_name(owner_, family.name);
    const auto found =
        std::ranges::find_if(families, [&](const auto* one) { return one->GetName() == name; });
    if (found == families.end()) {
      return refuse(
          fmt::format("the database has no column family {}; RocksdbStore::configure() adds it", name));
    }
    own.push_back(*found);
  }
  return open_borrowed_store(db, own, db.GetName() + "/leat-" + owner_,
                             StoreEnvironment{.env = db.GetEnv(),
                                              .stalls = std::static_pointer_cast<StallListener>(stalls_)});
}

}  // namespace leat
