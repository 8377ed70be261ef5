// Judges what an opening would recover.
#include "journal_recovery.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "journal_family.h"

namespace leat {
namespace {

/// Finds our commits in the records of a write-ahead log and keeps their highest claim.
class ClaimCollector final : public rocksdb::WriteBatch::Handler {
 public:
  rocksdb::Status PutCF(std::uint32_t, const rocksdb::Slice& key, const rocksdb::Slice& value) override {
    if (key.size() != kJournalKeyBytes) return rocksdb::Status::OK();  // the checkpoint's
    std::uint64_t sequence = 0;
    for (const char byte : std::string_view(key.data(), key.size())) {
      sequence = sequence << 8 | static_cast<std::uint8_t>(byte);
    }
    claim_ = std::max(
        claim_, claim_of(sequence, {reinterpret_cast<const std::byte*>(value.data()), value.size()}));
    return rocksdb::Status::OK();
  }

  void record(std::string bytes) {
    // A record that does not parse is what is being looked past; our own checksum judges those that do.
    rocksdb::WriteBatch(std::move(bytes)).Iterate(this).PermitUncheckedError();
  }

  std::uint64_t claim() const { return claim_; }

 private:
  std::uint64_t claim_ = 0;
};

/// Takes a write-ahead log apart: blocks of 32 KiB, in them fragments of crc u32, length u16, type u8,
/// payload. After nonsense it goes on at the next block.
///
/// Source: https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format
void read_raw_log(std::string_view log, ClaimCollector& out) {
  constexpr std::size_t kBlockBytes = std::size_t{32} << 10;
  constexpr std::size_t kHeaderBytes = 7;
  enum : std::uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };
  std::string record;
  bool inside = false;
  for (; !log.empty(); log.remove_prefix(std::min(kBlockBytes, log.size()))) {
    std::string_view block = log.substr(0, kBlockBytes);
    while (block.size() > kHeaderBytes) {
      const auto length = static_cast<std::size_t>(static_cast<std::uint8_t>(block[4]) |
                                                   static_cast<std::uint8_t>(block[5]) << 8);
      const auto type = static_cast<std::uint8_t>(block[6]);
      block.remove_prefix(kHeaderBytes);
      if (type < kFull || type > kLast || length > block.size()) {
        inside = false;
        break;
      }
      if (type == kFull || type == kFirst) record.clear();
      if (type == kFull || type == kFirst || inside) record.append(block.substr(0, length));
      if (type == kFull || (type == kLast && inside)) out.record(record);
      inside = type == kFirst || (type == kMiddle && inside);
      block.remove_prefix(length);
    }
  }
}

}  // namespace

std::expected<Promise, StoreError> read_promise(const std::string& directory, const Superblock& block,
                                                std::uint64_t boot) {
  if (block.clean) return Promise{.end_min = block.journal_end, .end_max = block.journal_end};
  if (!block.created) return Promise{};
  const auto floor = read_floor(directory);
  if (!floor) return std::unexpected(floor.error());
  return Promise::of(block, *floor, boot);
}

std::expected<rocksdb::WALRecoveryMode, StoreError> recovery_mode(const std::string& directory,
                                                                  const Superblock& block,
                                                                  const StoreEnvironment& environment) {
  using rocksdb::WALRecoveryMode;
  if (block.clean) return WALRecoveryMode::kAbsoluteConsistency;  // no log to recover
  const auto promise = read_promise(directory, block, environment.boot);
  if (!promise) return std::unexpected(promise.error());
  rocksdb::DBOptions options = journal_db_options(environment.env);
  auto journal = JournalDb::open(directory, JournalDb::Access::Read, options);
  const bool torn = !journal && journal.error().IsCorruption();
  Promise by_logs = *promise;
  if (torn) {
    // Before the second look: beside a live writer claims only rise.
    by_logs.end_min = std::max(by_logs.end_min, synced_by_raw_logs(directory, *environment.env));
    options.wal_recovery_mode = WALRecoveryMode::kPointInTimeRecovery;
    journal = JournalDb::open(directory, JournalDb::Access::Read, options);
  }
  if (!journal) return std::unexpected(to_store_error(journal.error(), fmt::format("opening {}", directory)));
  const auto end = journal->check(JournalEnd::of(block), promise->last);
  if (!end) {
    return std::unexpected(
        StoreError{StoreErrorCode::Damaged, fmt::format("{}: {}", directory, end.error().message)});
  }
  if (auto kept = check_promise(directory, by_logs, end->sequence); !kept)
    return std::unexpected(std::move(kept.error()));
  return options.wal_recovery_mode;
}

std::uint64_t synced_by_raw_logs(const std::string& directory, rocksdb::Env& env) {
  ClaimCollector collector;
  std::vector<std::string> names;
  env.GetChildren(directory, &names).PermitUncheckedError();  // none is found then, and none is claimed
  for (const std::string& name : names) {
    std::string log;
    if (!name.ends_with(".log")) continue;
    if (!rocksdb::ReadFileToString(&env, directory + "/" + name, &log).ok()) continue;
    read_raw_log(log, collector);
  }
  return collector.claim();
}

}  // namespace leat
