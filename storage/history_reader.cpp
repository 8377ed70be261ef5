// Finds summaries of finished pipelines beside whoever writes them.
#include <fmt/format.h>
#include <rocksdb/options.h>

#include <utility>

#include "history_pack.h"
#include "journal_family.h"
#include "journal_fold.h"
#include "leat/history.h"
#include "rocksdb_store.h"
#include "store_directory.h"

namespace leat {
namespace {

// A live writer replaces files while RocksDB looks them up; nothing was visited then.
constexpr int kTries = 8;

// An identifier's clock and the store's may differ by so much.
constexpr std::int64_t kClockSlackNs = 60'000'000'000;

bool matches(const PipelineSummary& summary, const HistoryQuery& query) {
  return (!query.id || *query.id == summary.id) && (!query.state || *query.state == summary.state) &&
         (!query.finished_from_ns || summary.finished_ns >= *query.finished_from_ns) &&
         (!query.finished_before_ns || summary.finished_ns < *query.finished_before_ns);
}

/// The first number whose pack reaches to `time_ns`, by halving: the packs' high times never go back.
std::expected<std::uint64_t, StoreError> first_pack_at(const JournalDb& journal, std::int64_t time_ns,
                                                       std::uint64_t end) {
  std::uint64_t low = 0;
  while (low < end) {
    const std::uint64_t middle = low + (end - low) / 2;
    std::optional<std::pair<std::uint64_t, std::int64_t>> met;  // number and time
    auto looked = journal.replay_history(
        middle,
        [&](std::uint64_t first, std::span<const std::byte> bytes) -> std::expected<bool, StoreError> {
          const auto pack = HistoryPackReader::open(first, bytes);
          if (!pack) return std::unexpected(pack.error());
          met = {first, pack->before().high_ns};
          return false;
        });
    if (!looked) return std::unexpected(std::move(looked.error()));
    if (met && met->second < time_ns) {
      low = met->first + 1;
    } else {
      end = middle;
    }
  }
  return low;
}

std::int64_t time_of(const Uuid& id) {
  std::uint64_t ms = 0;
  for (std::size_t index = 0; index < 6; ++index) ms = ms << 8 | id.bytes[index];
  return static_cast<std::int64_t>(ms) * 1'000'000;
}

std::expected<void, StoreError> read(
    const JournalDb& journal, const StoreImage& names, std::uint64_t end, const HistoryQuery& query,
    const std::function<void(const PipelineSummary&, std::string_view)>& visit) {
  std::optional<std::int64_t> from_ns = query.finished_from_ns;
  if (!from_ns && query.id) from_ns = time_of(*query.id) - kClockSlackNs;
  std::uint64_t from = 0;
  if (from_ns) {
    const auto first = first_pack_at(journal, *from_ns, end);
    if (!first) return std::unexpected(first.error());
    from = *first;
  }
  const auto visit_pack = [&](std::uint64_t first,
                              std::span<const std::byte> bytes) -> std::expected<bool, StoreError> {
    auto pack = HistoryPackReader::open(first, bytes);
    if (!pack) return std::unexpected(std::move(pack.error()));
    for (;;) {
      const auto summary = pack->next();
      if (!summary) return std::unexpected(summary.error());
      if (*summary == nullptr) break;
      if (!matches(**summary, query)) continue;
      const auto workflow = names.workflows().find((*summary)->workflow_no);
      visit(**summary, workflow == names.workflows().end() ? std::string_view() : workflow->second.name);
      if (query.id) return false;
    }
    return !query.finished_before_ns || pack->before().high_ns < *query.finished_before_ns;
  };
  return journal.replay_history(from, visit_pack);
}

}  // namespace

std::expected<void, StoreError> read_rocksdb_history(
    const std::string& directory, const HistoryQuery& query,
    const std::function<void(const PipelineSummary&, std::string_view workflow)>& visit) {
  const auto block = read_superblock(directory);
  if (!block) return std::unexpected(block.error());
  if (!block->created) return {};
  rocksdb::DBOptions options = journal_db_options(rocksdb::Env::Default());
  options.wal_recovery_mode =
      rocksdb::WALRecoveryMode::kPointInTimeRecovery;  // a live log may be half written
  for (int tries = 1;; ++tries) {
    const auto journal = JournalDb::open(directory, JournalDb::Access::Read, options);
    auto failure =
        journal ? StoreError{} : to_store_error(journal.error(), fmt::format("opening {}", directory));
    if (journal) {
      const auto marks = journal->marks();
      if (!marks) return std::unexpected(marks.error());
      // Only the definitions are wanted: those of the newest round, and what came since.
      const auto names = fold_from(*journal, marks->newest(), StoreImage::Keep::Unfinished);
      if (names) return read(*journal, *names, names->end_sequence() + 1, query, visit);
      failure = names.error();
    }
    if (tries == kTries) return std::unexpected(std::move(failure));
  }
}

}  // namespace leat
