// The column family of pipelines that wait in the store alone. journal_family.h documents its keys.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "journal_family.h"
#include "waiting_rows.h"

namespace leat {
namespace {

constexpr char kBounds = 'b';
constexpr char kRow = 'r';
constexpr std::size_t kLineBytes = 2 * sizeof(std::uint32_t) + 1;
// Rows below a line's begin go together: a tombstone each would be read whenever a line is.
constexpr std::uint64_t kDroppedTogether = 4096;

template <class Unsigned>
void append(std::string& out, Unsigned value) {
  for (int shift = 8 * static_cast<int>(sizeof value) - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift);
}

template <class Unsigned>
Unsigned take(std::string_view& bytes) {
  Unsigned value = 0;
  for (const char byte : bytes.substr(0, sizeof value)) {
    value = static_cast<Unsigned>(value << 8 | static_cast<std::uint8_t>(byte));
  }
  bytes.remove_prefix(std::min(sizeof value, bytes.size()));
  return value;
}

std::string line_key(char kind, const WaitingLine& line) {
  std::string key(1, kind);
  append(key, line.workflow_no);
  append(key, static_cast<std::uint8_t>(line.priority));
  append(key, line.key_no);
  return key;
}

std::string row_key(const WaitingLine& line, std::uint64_t place) {
  std::string key = line_key(kRow, line);
  append(key, place);
  return key;
}

std::unexpected<StoreError> damaged(std::string_view what) {
  return std::unexpected(
      StoreError{StoreErrorCode::Damaged, fmt::format("the rows of waiting pipelines: {}", what)});
}

rocksdb::ReadOptions read_options() {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return options;
}

}  // namespace

rocksdb::Status put_waiting(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family,
                            std::span<const WaitingChange> changes) {
  using Kind = WaitingChange::Kind;
  rocksdb::Status status;
  for (const WaitingChange& change : changes) {
    if (!status.ok()) break;
    if (change.kind == Kind::Put) {
      status = batch.Put(family, row_key(change.line, change.place),
                         rocksdb::Slice(reinterpret_cast<const char*>(change.row.data()), change.row.size()));
    } else if (change.kind == Kind::TakeOne) {
      status = batch.Delete(family, row_key(change.line, change.place));
    } else if (change.begin == change.end ||
               change.place / kDroppedTogether != change.begin / kDroppedTogether) {
      const std::uint64_t first = change.place - change.place % kDroppedTogether;
      status = batch.DeleteRange(family, row_key(change.line, first), row_key(change.line, change.begin));
    }
    const bool is_new = change.kind == Kind::Put && change.place == 0;
    if (!status.ok() || (change.kind == Kind::Put && !is_new)) continue;
    std::string bounds;
    append(bounds, change.begin);
    append(bounds, change.end);
    append(bounds, change.holes);
    status = batch.Put(family, line_key(kBounds, change.line), bounds);
  }
  return status;
}

std::expected<std::vector<WaitingBounds>, StoreError> JournalDb::waiting_lines() const {
  std::vector<WaitingBounds> lines;
  if (waiting() == nullptr) return lines;
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read_options(), waiting()));
  for (at->Seek(rocksdb::Slice(&kBounds, 1)); at->Valid() && at->key()[0] == kBounds; at->Next()) {
    std::string_view key(at->key().data() + 1, at->key().size() - 1);
    std::string_view value(at->value().data(), at->value().size());
    if (key.size() != kLineBytes || value.size() != 3 * sizeof(std::uint64_t))
      return damaged("malformed bounds");
    WaitingBounds& line = lines.emplace_back();
    line.line.workflow_no = take<std::uint32_t>(key);
    const auto priority = take<std::uint8_t>(key);
    if (priority > static_cast<std::uint8_t>(Priority::Low)) return damaged("malformed bounds");
    line.line.priority = static_cast<Priority>(priority);
    line.line.key_no = take<std::uint32_t>(key);
    line.begin = take<std::uint64_t>(value);
    line.end = take<std::uint64_t>(value);
    line.holes = take<std::uint64_t>(value);
  }
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the waiting lines"));
  for (WaitingBounds& line : lines) {
    at->SeekForPrev(row_key(line.line, ~std::uint64_t{0}));
    if (at->Valid() && at->key().starts_with(line_key(kRow, line.line))) {
      std::string_view place(at->key().data() + 1 + kLineBytes, at->key().size() - 1 - kLineBytes);
      line.end = std::max(line.end, take<std::uint64_t>(place) + 1);
    }
    if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the waiting lines"));
    if (line.begin > line.end || line.holes > line.end - line.begin) return damaged("malformed bounds");
  }
  return lines;
}

std::expected<void, StoreError> JournalDb::replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                          const StateStore::WaitingVisitor& visit) const {
  if (waiting() == nullptr) return {};
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read_options(), waiting()));
  const std::string prefix = line_key(kRow, line);
  for (at->Seek(row_key(line, from)); at->Valid() && at->key().starts_with(prefix); at->Next()) {
    std::string_view rest(at->key().data() + prefix.size(), at->key().size() - prefix.size());
    if (rest.size() != sizeof(std::uint64_t)) return damaged("malformed key");
    const auto place = take<std::uint64_t>(rest);
    const auto row =
        check_waiting(place, {reinterpret_cast<const std::byte*>(at->value().data()), at->value().size()});
    if (!row) return std::unexpected(row.error());
    const auto more = visit(place, *row);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
  }
  if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading a waiting line"));
  return {};
}

}  // namespace leat
