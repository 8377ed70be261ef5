// Which rounds of the checkpoint a store keeps, and how the list of them lies on disk:
//
// u8 version: 2; varint count; for each round: varint generation, minimum, end, u64 hash (absent in version
// 1), i64 ended_ns, varint journal_bytes, row_bytes; u64 checksum: XXH3-64 of all bytes before it.
#include <xxhash.h>

#include <algorithm>
#include <cstddef>

#include "check.h"
#include "leat/checkpoint.h"
#include "record_format.h"
#include "record_parser.h"

namespace leat {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kVersionWithoutHash = 1;
// The events' beginning moves on in steps of so many parts of what is retained.
constexpr std::uint64_t kSteps = 8;
constexpr std::size_t kMarkBytesMax = 5 * record_format::kVarintBytesMax + 2 * sizeof(std::uint64_t);

/// Whether what was written between two rounds is at least a part of what is to be kept, by any limit.
bool covers(const CheckpointMark& from, const CheckpointMark& to, const Retention& limits,
            std::uint64_t parts) {
  const auto age = limits.age_ns ? *limits.age_ns / static_cast<std::int64_t>(parts) : 0;
  return (limits.age_ns && to.ended_ns - from.ended_ns >= age) ||
         (limits.count && to.end - from.end >= *limits.count / parts) ||
         (limits.bytes && to.journal_bytes - from.journal_bytes >= *limits.bytes / parts);
}

}  // namespace

std::uint64_t CheckpointMarks::add(const CheckpointMark& mark, const Retention& events) {
  LEAT_CHECK(mark.generation > newest().generation && mark.minimum >= newest().minimum);
  // Nobody wrote down when the store began: its first round stands for it.
  if (kept_.size() == 1 && oldest().generation == 0) kept_.front().ended_ns = mark.ended_ns;
  kept_.push_back(mark);
  // What was the newest stays only where it is a step from its neighbour.
  const auto before = kept_.end() - 2;
  const bool is_between = horizon(events).generation < before->generation;
  if (!is_between || covers(*(before - 1), *before, events, kSteps)) return 0;
  const std::uint64_t generation = before->generation;
  kept_.erase(before);
  return generation;
}

const CheckpointMark& CheckpointMarks::horizon(const Retention& events) const noexcept {
  const CheckpointMark* found = &oldest();
  for (const CheckpointMark& mark : kept_) {
    if (covers(mark, newest(), events, 1)) found = &mark;
  }
  return *found;
}

CheckpointMarks::Dropped CheckpointMarks::advance(const Retention& events) {
  const std::uint64_t first = horizon(events).generation;
  Dropped dropped;
  for (; oldest().generation != first; kept_.erase(kept_.begin())) {
    if (oldest().generation != 0) dropped.generations.push_back(oldest().generation);
  }
  dropped.journal_below = oldest().minimum;
  return dropped;
}

CheckpointMarks::Dropped CheckpointMarks::complete(const CheckpointMark& mark, const Retention& events) {
  const std::uint64_t between = add(mark, events);
  Dropped dropped = advance(events);
  if (between != 0) dropped.generations.push_back(between);
  return dropped;
}

void CheckpointMarks::forget(std::uint64_t generation) {
  std::erase_if(kept_, [generation](const CheckpointMark& mark) { return mark.generation == generation; });
  LEAT_CHECK(!kept_.empty());
}

std::string CheckpointMarks::encode() const {
  std::vector<std::byte> bytes(1 + record_format::kVarintBytesMax + kept_.size() * kMarkBytesMax +
                               record_format::kChecksumBytes);
  std::byte* out = bytes.data();
  *out++ = std::byte{kVersion};
  out = record_format::put_varint(out, kept_.size());
  for (const CheckpointMark& mark : kept_) {
    for (const std::uint64_t value : {mark.generation, mark.minimum, mark.end}) {
      out = record_format::put_varint(out, value);
    }
    out = record_format::put_u64(out, mark.hash);
    out = record_format::put_u64(out, static_cast<std::uint64_t>(mark.ended_ns));
    out = record_format::put_varint(out, mark.journal_bytes);
    out = record_format::put_varint(out, mark.row_bytes);
  }
  const auto checked = static_cast<std::size_t>(out - bytes.data());
  record_format::put_u64(out, XXH3_64bits(bytes.data(), checked));
  return {reinterpret_cast<const char*>(bytes.data()), checked + record_format::kChecksumBytes};
}

std::expected<CheckpointMarks, StoreError> CheckpointMarks::decode(std::span<const std::byte> bytes) {
  const auto damaged = [](std::string_view what) {
    return std::unexpected(
        StoreError{StoreErrorCode::Damaged, "the checkpoint's list of rounds " + std::string(what)});
  };
  if (bytes.size() <= record_format::kChecksumBytes) return damaged("is too short");
  const auto checked = bytes.first(bytes.size() - record_format::kChecksumBytes);
  if (XXH3_64bits(checked.data(), checked.size()) !=
      record_format::get_u64(checked.data() + checked.size())) {
    return damaged("has a checksum mismatch");
  }
  RecordParser in(checked);
  const std::uint8_t version = in.u8();
  if (version != kVersion && version != kVersionWithoutHash) {
    return std::unexpected(
        StoreError{StoreErrorCode::NewerFormat,
                   "the checkpoint's list of rounds has format " + std::to_string(version)});
  }
  CheckpointMarks marks;
  marks.kept_.clear();
  for (std::uint64_t count = in.varint(); count > 0 && in.ok(); --count) {
    CheckpointMark mark;
    mark.generation = in.varint();
    mark.minimum = in.varint();
    mark.end = in.varint();
    if (version != kVersionWithoutHash) mark.hash = in.u64();
    mark.ended_ns = static_cast<std::int64_t>(in.u64());
    mark.journal_bytes = in.varint();
    mark.row_bytes = in.varint();
    const bool rises = marks.kept_.empty() || (mark.generation > marks.newest().generation &&
                                               mark.minimum >= marks.newest().minimum);
    if (!rises || mark.end < mark.minimum) in.fail();
    marks.kept_.push_back(mark);
  }
  if (!in.ok() || !in.rest().empty() || marks.kept_.empty()) return damaged("is malformed");
  return marks;
}

}  // namespace leat
