#include "waiting_rows.h"

#include <xxhash.h>

#include <algorithm>

#include "check.h"
#include "commit.h"
#include "record_format.h"
#include "record_parser.h"

namespace leat {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_u64(std::string& out, std::uint64_t value) {
  std::byte bytes[sizeof value];
  record_format::put_u64(bytes, value);
  out += text_of(bytes);
}

}  // namespace

void WaitingChanges::add(const TransitionGroup& group) {
  namespace what = record_format::waiting;
  RecordParser in(group.bytes().subspan(1));  // behind the kind
  WaitingChange change{.line = in.waiting_line()};
  const std::uint8_t kind = in.u8();
  change.place = in.varint();
  if (kind == what::kSetAside) {
    std::string& value = values_.emplace_back();
    append_u64(value, static_cast<std::uint64_t>(group.time_ns()));
    value += text_of(in.rest());
    append_u64(value, XXH3_64bits_withSeed(value.data(), value.size(), change.place));
    change.row = std::as_bytes(std::span(value));
  } else {
    change.kind = kind == what::kInTurn ? WaitingChange::Kind::TakeFront : WaitingChange::Kind::TakeOne;
    change.begin = in.varint();
    change.end = in.varint();
    change.holes = in.varint();
  }
  LEAT_CHECK(in.ok());  // this process encoded it
  changes_.push_back(change);
}

std::expected<std::span<const std::byte>, StoreError> check_waiting(std::uint64_t place,
                                                                    std::span<const std::byte> value) {
  const std::size_t checked = value.size() - std::min(value.size(), record_format::kChecksumBytes);
  if (checked == 0 ||
      XXH3_64bits_withSeed(value.data(), checked, place) != record_format::get_u64(value.data() + checked)) {
    return std::unexpected(StoreError{
        StoreErrorCode::Damaged,
        "the row of a waiting pipeline at place " + std::to_string(place) + ": checksum mismatch"});
  }
  return value.first(checked);
}

std::string encode_waiting(std::int64_t created_ns, const PipelineCreated& created) {
  std::string row;
  append_u64(row, static_cast<std::uint64_t>(created_ns));
  const TransitionGroup group(created_ns, created);
  row += text_of(group.bytes().subspan(1));
  return row;
}

bool decode_waiting(
    std::span<const std::byte> row,
    const std::function<void(std::int64_t created_ns, const PipelineCreated& created)>& take) {
  RecordParser in(row);
  const auto created_ns = static_cast<std::int64_t>(in.u64());
  return in.ok() && CommitReader::read_created(
                        in.rest(), [&](const PipelineCreated& created) { take(created_ns, created); });
}

void append_waiting(std::string& rows, std::span<const std::byte> row) {
  std::byte size[record_format::kVarintBytesMax];
  const std::byte* const end = record_format::put_varint(size, row.size());
  rows += text_of({size, static_cast<std::size_t>(end - size)});
  rows += text_of(row);
}

bool each_waiting(std::string_view rows, const std::function<bool(std::span<const std::byte> row)>& take) {
  RecordParser in(std::as_bytes(std::span(rows)));
  while (in.ok() && !in.rest().empty()) {
    const std::string_view row = in.text();
    if (!in.ok() || !take(std::as_bytes(std::span(row)))) return false;
  }
  return in.ok();
}

}  // namespace leat
