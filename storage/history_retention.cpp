#include "history_retention.h"

#include <rocksdb/convenience.h>

#include <span>
#include <string>

#include "history_pack.h"

namespace leat {

std::expected<std::uint64_t, StoreError> drop_old_history(const JournalDb& journal, const Retention& limits,
                                                          std::int64_t now_ns) {
  if (!limits.age_ns && !limits.count && !limits.bytes) return 0;
  const auto tail = journal.history_tail();
  if (!tail) return std::unexpected(tail.error());
  std::uint64_t begin = 0;
  std::uint64_t dropped = 0;
  const auto looked = journal.replay_history(
      0, [&](std::uint64_t first, std::span<const std::byte> bytes) -> std::expected<bool, StoreError> {
        const auto pack = HistoryPackReader::open(first, bytes);
        if (!pack) return std::unexpected(pack.error());
        const HistoryTail& before = pack->before();
        begin = first;
        const bool goes = (limits.age_ns && now_ns - before.high_ns > *limits.age_ns) ||
                          (limits.count && tail->count - before.count > *limits.count) ||
                          (limits.bytes && tail->bytes - before.bytes > *limits.bytes);
        dropped += goes;
        return goes;
      });
  if (!looked) return std::unexpected(looked.error());
  if (dropped == 0) return 0;
  const std::string first = history_key(0);
  const std::string end = history_key(begin);
  rocksdb::WriteOptions options;
  options.sync = false;  // what is dropped once more after a crash was dropped for good
  rocksdb::Status status = journal.db().DeleteRange(options, journal.history(), first, end);
  const rocksdb::Slice from(first);
  const rocksdb::Slice to(end);
  if (status.ok()) {
    status = rocksdb::DeleteFilesInRange(&journal.db(), journal.history(), &from, &to, false);
  }
  if (!status.ok()) return std::unexpected(to_store_error(status, "dropping old history"));
  return begin;
}

}  // namespace leat
