// The column families: options, opening, reading, checking.
#include "journal_family.h"

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/table.h>
#include <xxhash.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "commit.h"
#include "history_pack.h"

namespace leat {
namespace {

constexpr std::size_t kWriteBufferBytes = std::size_t{32} << 20;
constexpr std::size_t kRowBufferBytes = std::size_t{8} << 20;
constexpr std::size_t kWalBytesMax = std::size_t{96} << 20;  // replay reads about 96 MB/s
constexpr std::size_t kReadAheadBytes = std::size_t{2} << 20;

/// RocksDB's own log, for openings that must not write.
class SilentLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

constexpr char kRowKeyFirst = 'r';
constexpr char kCarriedKeyFirst = 'c';
constexpr std::size_t kRowKeyBytes = 1 + 2 * sizeof(std::uint64_t);

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

void append_big_endian(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

std::unexpected<StoreError> wrong_row_key() {
  return std::unexpected(
      StoreError{StoreErrorCode::Damaged, "the checkpoint holds a key that is not a row's"});
}

/// RocksDB's log of itself lies beside its data, and on a full device Debian's assertion build aborts the
/// process in it, even in a background thread.
class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

std::span<const std::byte> bytes_of(const rocksdb::Slice& value) {
  return {reinterpret_cast<const std::byte*>(value.data()), value.size()};
}

rocksdb::ReadOptions scan_options() {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  options.readahead_size = kReadAheadBytes;
  return options;
}

}  // namespace

std::string journal_key(std::uint64_t first_sequence) {
  std::string key;
  append_big_endian(key, first_sequence);
  return key;
}

namespace {

std::string key_in_round(char kind, std::uint64_t generation, std::uint64_t first_sequence) {
  std::string key(1, kind);
  append_big_endian(key, generation);
  append_big_endian(key, first_sequence);
  return key;
}

}  // namespace

std::string row_key(std::uint64_t generation, std::uint64_t first_sequence) {
  return key_in_round(kRowKeyFirst, generation, first_sequence);
}

std::string carried_key(std::uint64_t generation, std::uint64_t first_sequence) {
  return key_in_round(kCarriedKeyFirst, generation, first_sequence);
}

std::expected<std::uint64_t, StoreError> sequence_in(const rocksdb::Slice& key) {
  const bool in_round = key.size() == kRowKeyBytes && (key[0] == kRowKeyFirst || key[0] == kCarriedKeyFirst);
  const bool in_history = key.size() == kJournalKeyBytes + 1;
  if (!in_round && !in_history && key.size() != kJournalKeyBytes) {
    return std::unexpected(StoreError{StoreErrorCode::Damaged, "the store holds a key of a wrong length"});
  }
  const std::size_t place = in_round ? key.size() - sizeof(std::uint64_t) : 0;
  return big_endian({key.data() + place, sizeof(std::uint64_t)});
}

std::string history_key(std::uint64_t first_sequence) {
  return journal_key(first_sequence) + '\0';
}

rocksdb::DBOptions journal_db_options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.info_log = std::make_shared<NoLog>();
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  options.max_total_wal_size = kWalBytesMax;
  options.max_background_jobs = 2;
  options.max_open_files = 64;
  options.max_file_opening_threads = 1;
  // One committer writes, in order: nothing to write concurrently, no pipeline to fill.
  options.allow_concurrent_memtable_write = false;
  // A failed write ends the opening: nothing is tried again behind our back.
  options.max_bgerror_resume_count = 0;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  // Checksums of whole tables, for verification.
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  return options;
}

namespace {

/// Contexts are read one by one, in no order, and freed one by one.
rocksdb::ColumnFamilyOptions context_options(rocksdb::ColumnFamilyOptions options, bool compress) {
  if (compress) options.compression = rocksdb::kZSTD;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;  // the engine keeps what it works with
  table.block_size = std::size_t{4} << 10;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

std::vector<rocksdb::ColumnFamilyDescriptor> journal_families(const StoreOptions& store_options) {
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;  // read once, at start, in order
  table.block_size = std::size_t{64} << 10;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = 3;
  options.compression = rocksdb::kNoCompression;
  // Keys only ascend, so files never overlap and a compaction moves them without reading.
  options.compaction_style = rocksdb::kCompactionStyleLevel;
  options.paranoid_file_checks = false;
  rocksdb::ColumnFamilyOptions rows = options;
  rows.write_buffer_size = kRowBufferBytes;
  return {{rocksdb::kDefaultColumnFamilyName, options},
          {std::string(kJournalFamily), options},
          {std::string(kCheckpointFamily), rows},
          {std::string(kHistoryFamily), rows},
          {std::string(kContextsFamily), context_options(options, store_options.compress_contexts)},
          {std::string(kWaitingFamily), rows}};
}

std::expected<void, StoreError> check_options(const StoreOptions& store_options) {
  const auto known = rocksdb::GetSupportedCompressions();
  if (!store_options.compress_contexts || std::ranges::find(known, rocksdb::kZSTD) != known.end()) return {};
  return std::unexpected(
      StoreError{StoreErrorCode::Refused, "compress_contexts: this RocksDB was built without zstd"});
}

std::uint64_t manifest_digest(const std::string& directory, rocksdb::Env& env, std::string_view current) {
  if (current.empty()) return 0;
  const std::string name(current.substr(0, current.size() - 1));  // it ends in a line break
  std::string manifest;
  if (!rocksdb::ReadFileToString(&env, directory + "/" + name, &manifest).ok()) return 0;
  const std::string both = std::string(current) + manifest;
  return XXH3_64bits(both.data(), both.size());
}

std::uint64_t manifest_digest(const std::string& directory, rocksdb::Env& env) {
  std::string current;
  if (!rocksdb::ReadFileToString(&env, directory + "/CURRENT", &current).ok()) return 0;
  return manifest_digest(directory, env, current);
}

StoreError to_store_error(const rocksdb::Status& status, std::string_view deed) {
  StoreErrorCode code = StoreErrorCode::Io;
  if (status.IsNoSpace()) {
    code = StoreErrorCode::DiskFull;
  } else if (status.IsCorruption() || status.IsNotFound() || status.IsInvalidArgument() ||
             status.IsPathNotFound()) {
    code = StoreErrorCode::Damaged;
  }
  std::string text = status.ToString();
  for (char& character : text) {
    if (character == '\n') character = ' ';
  }
  return {code, fmt::format("{}: {}", deed, text)};
}

std::expected<JournalDb, rocksdb::Status> JournalDb::open(const std::string& directory, Access access,
                                                          const rocksdb::DBOptions& options,
                                                          const StoreOptions& store_options) {
  JournalDb journal;
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions chosen = options;
  rocksdb::Status status;
  if (access == Access::Read) {
    chosen.info_log = std::make_shared<SilentLogger>();
    chosen.max_open_files = -1;  // all files at once: a live writer may remove them later
    std::vector<std::string> names;
    status = rocksdb::DB::ListColumnFamilies(chosen, directory, &names);
    if (!status.ok()) return std::unexpected(std::move(status));
    // An older format has the first ones; a repair that was cut short may have left any of them out.
    const auto is_there = [&names](const rocksdb::ColumnFamilyDescriptor& family) {
      return family.name == kJournalFamily || std::ranges::find(names, family.name) != names.end();
    };
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    std::ranges::copy_if(journal_families(), std::back_inserter(families), is_there);
    std::vector<rocksdb::ColumnFamilyHandle*> opened;
    status = rocksdb::DB::OpenForReadOnly(chosen, directory, families, &opened, &db);
    auto next = opened.begin();
    for (const rocksdb::ColumnFamilyDescriptor& family : journal_families())
      journal.handles_.push_back(next != opened.end() && is_there(family) ? *next++ : nullptr);
  } else {
    chosen.create_if_missing = access == Access::Create;
    chosen.create_missing_column_families = true;  // format 1 had only the journal's
    status = rocksdb::DB::Open(chosen, directory, journal_families(store_options), &journal.handles_, &db);
  }
  journal.db_.reset(db);
  if (!status.ok()) return std::unexpected(std::move(status));
  return journal;
}

JournalDb& JournalDb::operator=(JournalDb&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(handles_, other.handles_);
  std::swap(borrowed_, other.borrowed_);
  return *this;
}

JournalDb::~JournalDb() {
  // What close() would tell was told by the last sync: nothing acknowledged depends on it.
  if (db_ != nullptr) close().PermitUncheckedError();
}

JournalDb JournalDb::borrow(rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families) {
  JournalDb journal;
  journal.db_.reset(&db);
  journal.handles_ = families;
  journal.borrowed_ = true;
  return journal;
}

rocksdb::Status JournalDb::renew(std::string_view family) {
  const auto at = std::ranges::find(handles_, family, [](const auto* handle) { return handle->GetName(); });
  const auto families = journal_families();
  const auto descriptor = std::ranges::find(families, family, &rocksdb::ColumnFamilyDescriptor::name);
  rocksdb::Status status = db_->DropColumnFamily(*at);
  if (!status.ok()) return status;
  db_->DestroyColumnFamilyHandle(*at).PermitUncheckedError();
  *at = nullptr;
  return db_->CreateColumnFamily(descriptor->options, descriptor->name, &*at);
}

rocksdb::Status JournalDb::close() {
  if (borrowed_) {
    static_cast<void>(db_.release());
    handles_.clear();
    return rocksdb::Status::OK();
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles_)
    if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  handles_.clear();
  rocksdb::Status status = db_->Close();
  db_.reset();
  return status;
}

std::expected<void, StoreError> JournalDb::replay(const StateStore::Visitor& visit,
                                                  std::uint64_t from) const {
  const std::unique_ptr<rocksdb::Iterator> at = scan(family());
  for (at->Seek(journal_key(from)); at->Valid(); at->Next()) {
    const auto sequence = sequence_in(at->key());
    if (!sequence) return std::unexpected(sequence.error());
    if (auto done = visit(*sequence, bytes_of(at->value())); !done) return done;
  }
  // An iterator over a damaged file ends early; only its status tells.
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the journal"));
  return {};
}

std::expected<CheckpointMarks, StoreError> JournalDb::marks() const {
  if (checkpoint() == nullptr) return CheckpointMarks();
  std::string value;
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  const rocksdb::Status status =
      db_->Get(options, checkpoint(), rocksdb::Slice(kMarksKey.data(), kMarksKey.size()), &value);
  if (status.IsNotFound()) return CheckpointMarks();
  if (!status.ok()) return std::unexpected(to_store_error(status, "reading the checkpoint"));
  return CheckpointMarks::decode(bytes_of(value));
}

std::expected<std::uint64_t, StoreError> JournalDb::next_generation() const {
  if (checkpoint() == nullptr) return 1;
  const std::unique_ptr<rocksdb::Iterator> at = scan(checkpoint());
  at->SeekToLast();
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the checkpoint"));
  if (!at->Valid() || at->key()[0] != kRowKeyFirst) return 1;
  if (at->key().size() != kRowKeyBytes) return wrong_row_key();
  return big_endian({at->key().data() + 1, sizeof(std::uint64_t)}) + 1;
}

std::expected<void, StoreError> JournalDb::replay_rows(std::uint64_t generation,
                                                       const StateStore::Visitor& visit) const {
  return replay_range(row_key(generation, 0), row_key(generation + 1, 0), visit);
}

std::expected<void, StoreError> JournalDb::replay_carried(std::uint64_t generation,
                                                          const StateStore::Visitor& visit) const {
  return replay_range(carried_key(generation, 0), carried_key(generation + 1, 0), visit);
}

std::expected<void, StoreError> JournalDb::replay_range(const std::string& first, const std::string& end,
                                                        const StateStore::Visitor& visit) const {
  if (checkpoint() == nullptr) return {};
  const std::unique_ptr<rocksdb::Iterator> at = scan(checkpoint());
  for (at->Seek(first); at->Valid() && at->key().compare(end) < 0; at->Next()) {
    const auto sequence = sequence_in(at->key());
    if (!sequence) return std::unexpected(sequence.error());
    if (auto done = visit(*sequence, bytes_of(at->value())); !done) return done;
  }
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the checkpoint"));
  return {};
}

std::unique_ptr<rocksdb::Iterator> JournalDb::scan(rocksdb::ColumnFamilyHandle* family) const {
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(scan_options(), family));
}

std::expected<HistoryTail, StoreError> JournalDb::history_tail() const {
  if (history() == nullptr) return HistoryTail();
  const std::unique_ptr<rocksdb::Iterator> at = scan(history());
  at->SeekToLast();
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the history"));
  if (!at->Valid()) return HistoryTail();
  const auto sequence = sequence_in(at->key());
  if (!sequence) return std::unexpected(sequence.error());
  const auto pack = HistoryPackReader::open(*sequence, bytes_of(at->value()));
  if (!pack) return std::unexpected(pack.error());
  return HistoryTail{.count = pack->before().count + pack->count(),
                     .bytes = pack->before().bytes + at->value().size(),
                     .high_ns = pack->before().high_ns};
}

std::expected<void, StoreError> JournalDb::replay_history(
    std::uint64_t sequence,
    const std::function<std::expected<bool, StoreError>(std::uint64_t, std::span<const std::byte>)>& visit)
    const {
  if (history() == nullptr) return {};
  const std::unique_ptr<rocksdb::Iterator> at = scan(history());
  for (at->Seek(history_key(sequence)); at->Valid(); at->Next()) {
    const auto first = sequence_in(at->key());
    if (!first) return std::unexpected(first.error());
    const auto go_on = visit(*first, bytes_of(at->value()));
    if (!go_on) return std::unexpected(go_on.error());
    if (!*go_on) return {};
  }
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the history"));
  return {};
}

std::expected<JournalEnd, StoreError> JournalDb::end(const JournalEnd& known) const {
  const std::unique_ptr<rocksdb::Iterator> at = scan(family());
  at->SeekToLast();
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the journal"));
  if (!at->Valid()) return known;
  const auto sequence = sequence_in(at->key());
  if (!sequence) return std::unexpected(sequence.error());
  const auto commit = CommitReader::open(*sequence, bytes_of(at->value()));
  if (!commit) return std::unexpected(commit.error());
  return end_of(commit->header(), known);
}

std::expected<JournalEnd, StoreError> JournalDb::check(const JournalEnd& known,
                                                       const JournalEnd& told) const {
  const auto rounds = marks();
  if (!rounds) return std::unexpected(rounds.error());
  const std::uint64_t from = rounds->newest().minimum;
  JournalWalk walk(from, known, told);
  auto done = replay([&walk](std::uint64_t sequence,
                             std::span<const std::byte> bytes) { return walk.step(sequence, bytes); },
                     from);
  if (!done) return std::unexpected(std::move(done.error()));
  return walk.end();
}

}  // namespace leat
