// Packs a group commit: groups grow behind room for the longest header, written last, right before them.
#include <xxhash.h>
#include <cstring>

#include "check.h"
#include "commit.h"
#include "record_format.h"

namespace leat {
namespace {

using record_format::kVarintBytesMax;

// Version and link, then epoch, gap, unsynced, transitions, groups, then the base time and that of the sync.
constexpr std::size_t kCommitHeaderBytesMax = 1 + 8 + 5 * kVarintBytesMax + 8 + kVarintBytesMax;

}  // namespace

std::uint64_t hash_of_commit(std::span<const std::byte> commit) noexcept {
  return record_format::get_u64(commit.data() + commit.size() - record_format::kChecksumBytes);
}

void CommitWriter::begin(std::uint64_t first_sequence, std::uint64_t previous_end, std::uint64_t epoch,
                         std::uint64_t synced, std::int64_t synced_ns) {
  LEAT_CHECK(previous_end <= first_sequence && synced <= first_sequence);
  header_ = {.first_sequence = first_sequence,
             .epoch = epoch,
             .gap = first_sequence - previous_end,
             .synced = synced,
             .synced_ns = synced_ns};
  used_ = kCommitHeaderBytesMax;
}

std::byte* CommitWriter::take(std::size_t size_max) {
  if (buffer_.size() < used_ + size_max) buffer_.resize(2 * (used_ + size_max));
  return buffer_.data() + used_;
}

void CommitWriter::add(std::int64_t time_ns, std::span<const std::byte> record, std::uint64_t transitions) {
  if (header_.groups == 0) header_.base_ns = time_ns;
  std::byte* out = take(kVarintBytesMax + record.size());
  const std::byte* const start = out;
  const std::int64_t delta = record_format::difference(time_ns, header_.base_ns);
  out = record_format::put_varint(out, record_format::zigzag(delta));
  std::memcpy(out, record.data(), record.size());
  used_ += static_cast<std::size_t>(out - start) + record.size();
  ++header_.groups;
  header_.transitions += transitions;
}

std::span<const std::byte> CommitWriter::finish() {
  using record_format::put_varint;
  take(record_format::kChecksumBytes);
  std::byte header[kCommitHeaderBytesMax];
  std::byte* out = header;
  *out++ = std::byte{record_format::kVersion};
  out = record_format::put_u64(out, link_);
  out = put_varint(out, header_.epoch);
  out = put_varint(out, header_.gap);
  out = put_varint(out, header_.first_sequence - header_.synced);
  out = put_varint(out, header_.transitions);
  out = put_varint(out, header_.groups);
  out = record_format::put_u64(out, static_cast<std::uint64_t>(header_.base_ns));
  const std::int64_t synced_at = record_format::difference(header_.synced_ns, header_.base_ns);
  out = put_varint(out, header_.synced_ns == 0 ? 0 : 1 + record_format::zigzag(synced_at));

  const auto header_size = static_cast<std::size_t>(out - header);
  std::byte* const first = buffer_.data() + kCommitHeaderBytesMax - header_size;
  std::memcpy(first, header, header_size);
  const std::size_t checked = used_ - kCommitHeaderBytesMax + header_size;
  link_ = XXH3_64bits_withSeed(first, checked, header_.first_sequence);
  record_format::put_u64(first + checked, link_);
  return {first, checked + record_format::kChecksumBytes};
}

}  // namespace leat
