// Summaries to bytes and back.
#include "history_pack.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "check.h"
#include "checked_frame.h"
#include "group_writer.h"
#include "record_format.h"
#include "record_parser.h"

namespace leat {
namespace {

namespace flag = record_format::summary;
using record_format::kVarintBytesMax;

constexpr FrameKind kPack = {.name = "history of commit", .version = 1};
constexpr std::size_t kPackHeaderBytesMax = 1 + 3 * kVarintBytesMax + 16;

std::unexpected<StoreError> damaged_pack(std::uint64_t first_sequence, std::string_view what) {
  return damaged_frame(kPack, first_sequence, what);
}

constexpr std::size_t kIdTimeBytes = 6;
constexpr std::int64_t kNsPerMs = 1'000'000;

/// The time in a version 7 identifier, in ms.
std::int64_t time_in(const Uuid& id) {
  std::int64_t ms = 0;
  for (std::size_t index = 0; index < kIdTimeBytes; ++index) ms = ms << 8 | id.bytes[index];
  return ms;
}

/// @pre  the time is one that fits
void put_time(Uuid& id, std::int64_t ms) {
  for (std::size_t index = kIdTimeBytes; index > 0; --index, ms >>= 8) {
    id.bytes[index - 1] = static_cast<std::uint8_t>(ms);
  }
}

}  // namespace

void TransitionGroup::add_summary(const PipelineSummary& summary) {
  const bool plain = summary.completed == summary.tasks;
  const std::string_view error = summary.error.substr(0, kSummaryErrorBytesMax);
  const std::size_t record_bytes = size_;
  // An identifier is made a moment before its pipeline: most of its time need not be written.
  const std::int64_t id_delta_ms = time_in(summary.id) - summary.created_ns / kNsPerMs;
  const bool timed = id_delta_ms > -64 && id_delta_ms < 64;
  {
    Writer out(*this, Writer::kAppend);
    out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(summary.state) | (plain ? 0U : flag::kCounts) |
                                     (error.empty() ? 0U : flag::kError) |
                                     (summary.finished_ns == time_ns_ ? 0U : flag::kFinished) |
                                     (timed ? flag::kTimed : 0U)));
    out.varint(summary.workflow_no);
    out.varint(summary.tasks);
    if (!plain) {
      for (const std::uint32_t count : {summary.completed, summary.failed, summary.skipped})
        out.varint(count);
    }
    const auto put_difference = [&out](std::int64_t a, std::int64_t b) {
      out.varint(record_format::zigzag(record_format::difference(a, b)));
    };
    if (summary.finished_ns != time_ns_) put_difference(summary.finished_ns, time_ns_);
    put_difference(summary.finished_ns, summary.created_ns);
    if (timed) out.varint(record_format::zigzag(id_delta_ms));
    const std::size_t known = timed ? kIdTimeBytes : 0;
    out.raw(summary.id.bytes.data() + known, summary.id.bytes.size() - known);
    if (!error.empty()) out.text(error);
  }
  summary_ = static_cast<std::uint32_t>(size_ - record_bytes);
}

void HistoryPackWriter::begin(std::uint64_t first_sequence) noexcept {
  first_sequence_ = first_sequence;
  count_ = 0;
  buffer_.clear();
}

void HistoryPackWriter::add(const TransitionGroup& group) {
  if (count_ == 0) {
    buffer_.resize(kPackHeaderBytesMax);
    base_ns_ = group.time_ns();
  }
  const std::span<const std::byte> summary = group.summary();
  std::byte number[kVarintBytesMax];
  const std::int64_t delta = record_format::difference(group.time_ns(), base_ns_);
  buffer_.insert(buffer_.end(), number, record_format::put_varint(number, record_format::zigzag(delta)));
  buffer_.insert(buffer_.end(), summary.begin(), summary.end());
  tail_.high_ns = std::max(tail_.high_ns, group.time_ns());
  ++count_;
}

std::span<const std::byte> HistoryPackWriter::finish() {
  LEAT_CHECK(count_ > 0);
  std::byte header[kPackHeaderBytesMax];
  std::byte* out = header;
  *out++ = std::byte{kPack.version};
  out = record_format::put_varint(out, count_);
  out = record_format::put_varint(out, tail_.count);
  out = record_format::put_varint(out, tail_.bytes);
  out = record_format::put_u64(out, static_cast<std::uint64_t>(base_ns_));
  out = record_format::put_u64(out, static_cast<std::uint64_t>(tail_.high_ns));
  const std::span<const std::byte> pack =
      close_frame(buffer_, kPackHeaderBytesMax, {header, out}, first_sequence_);
  tail_.count += count_;
  tail_.bytes += pack.size();
  return pack;
}

std::expected<HistoryPackReader, StoreError> HistoryPackReader::open(std::uint64_t first_sequence,
                                                                     std::span<const std::byte> pack) {
  auto opened = open_frame(kPack, first_sequence, pack);
  if (!opened) return std::unexpected(std::move(opened.error()));
  RecordParser& in = *opened;
  HistoryPackReader reader;
  reader.first_sequence_ = first_sequence;
  reader.count_ = reader.left_ = in.varint();
  reader.before_.count = in.varint();
  reader.before_.bytes = in.varint();
  reader.base_ns_ = static_cast<std::int64_t>(in.u64());
  reader.before_.high_ns = static_cast<std::int64_t>(in.u64());
  if (!in.ok()) return damaged_pack(first_sequence, "malformed header");
  reader.rest_ = in.rest();
  return reader;
}

std::expected<const PipelineSummary*, StoreError> HistoryPackReader::next() {
  if (left_ == 0) {
    if (!rest_.empty()) return damaged_pack(first_sequence_, "bytes after its last summary");
    return nullptr;
  }
  RecordParser in(rest_);
  PipelineSummary& summary = summary_;
  const std::int64_t time_ns = record_format::sum(base_ns_, in.zigzag());
  const std::uint8_t bits = in.flags(flag::kAll);
  summary.state = in.enumerator(bits & flag::kStateMask, PipelineState::Cancelled);
  summary.workflow_no = in.number();
  summary.tasks = in.number(kTasksPerPipelineMax);
  const bool counts = (bits & flag::kCounts) != 0;
  summary.completed = counts ? in.number(summary.tasks) : summary.tasks;
  summary.failed = counts ? in.number(summary.tasks) : 0;
  summary.skipped = counts ? in.number(summary.tasks) : 0;
  summary.finished_ns = (bits & flag::kFinished) != 0 ? record_format::sum(time_ns, in.zigzag()) : time_ns;
  summary.created_ns = record_format::difference(summary.finished_ns, in.zigzag());
  const bool timed = (bits & flag::kTimed) != 0;
  if (timed) put_time(summary.id, record_format::sum(summary.created_ns / kNsPerMs, in.zigzag()));
  const std::size_t known = timed ? kIdTimeBytes : 0;
  std::ranges::transform(in.raw(summary.id.bytes.size() - known), summary.id.bytes.begin() + known,
                         [](std::byte byte) { return static_cast<std::uint8_t>(byte); });
  summary.error = (bits & flag::kError) != 0 ? in.text() : std::string_view();
  if (!in.ok()) return damaged_pack(first_sequence_, "malformed summary");
  rest_ = in.rest();
  --left_;
  return &summary_;
}

}  // namespace leat
