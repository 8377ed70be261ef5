// Packs and unpacks slices of the checkpoint.
#include "checkpoint_slice.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "check.h"
#include "checked_frame.h"
#include "checkpoint_row.h"
#include "record_format.h"
#include "record_parser.h"

namespace leat {
namespace {

using record_format::Kind;
using record_format::kVarintBytesMax;

constexpr FrameKind kSlice = {.name = "checkpoint slice", .version = 1};
constexpr std::size_t kSliceHeaderBytesMax = 1 + 2 * kVarintBytesMax;

std::unexpected<StoreError> damaged_slice(std::uint64_t first_sequence, std::string_view what) {
  return damaged_frame(kSlice, first_sequence, what);
}

}  // namespace

void CheckpointSliceWriter::begin(std::uint64_t first_sequence) noexcept {
  first_sequence_ = first_sequence;
  rows_ = generation_ = 0;
  begun_.reset();
  ended_.reset();
  buffer_.clear();
}

void CheckpointSliceWriter::add(const TransitionGroup& row, std::uint64_t sequence) {
  if (rows_ == 0) buffer_.resize(kSliceHeaderBytesMax);
  const std::span<const std::byte> bytes = row.bytes();
  std::byte number[kVarintBytesMax];
  buffer_.insert(buffer_.end(), number, record_format::put_varint(number, sequence - first_sequence_));
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  ++rows_;
  RecordParser in(bytes);
  const auto kind = static_cast<Kind>(in.u8());
  const std::uint64_t generation = in.varint();
  LEAT_CHECK(rows_ == 1 || generation == generation_);  // one round at a time
  generation_ = generation;
  if (kind == Kind::RoundBegun) begun_ = parse_round_begun(in, generation);
  if (kind == Kind::RoundEnded) ended_ = parse_round_ended(in, generation);
}

std::span<const std::byte> CheckpointSliceWriter::finish() {
  LEAT_CHECK(rows_ > 0);
  std::byte header[kSliceHeaderBytesMax];
  std::byte* out = header;
  *out++ = std::byte{kSlice.version};
  out = record_format::put_varint(out, generation_);
  out = record_format::put_varint(out, rows_);
  return close_frame(buffer_, kSliceHeaderBytesMax, {header, out}, first_sequence_);
}

std::expected<CheckpointSliceReader, StoreError> CheckpointSliceReader::open(
    std::uint64_t first_sequence, std::span<const std::byte> slice) {
  auto opened = open_frame(kSlice, first_sequence, slice);
  if (!opened) return std::unexpected(std::move(opened.error()));
  RecordParser& in = *opened;
  CheckpointSliceReader reader;
  reader.first_sequence_ = first_sequence;
  reader.generation_ = in.varint();
  reader.rows_left_ = in.varint();
  if (!in.ok()) return damaged_slice(first_sequence, "malformed header");
  reader.rest_ = in.rest();
  return reader;
}

std::expected<CheckpointRow*, StoreError> CheckpointSliceReader::next() {
  if (rows_left_ == 0) {
    if (!rest_.empty()) return damaged_slice(first_sequence_, "bytes after its last row");
    return nullptr;
  }
  RecordParser in(rest_);
  sequence_ = first_sequence_ + in.varint();
  const std::uint8_t kind = in.u8();
  if (const std::uint64_t generation = in.varint(); generation != generation_) {
    return damaged_slice(first_sequence_, "rows of two rounds");
  }
  switch (static_cast<Kind>(kind)) {
    case Kind::RoundBegun:
      row_ = parse_round_begun(in, generation_);
      break;
    case Kind::WorkflowKept: {
      const std::uint64_t last_needed = in.varint();
      row_ = WorkflowKept{generation_, last_needed, in.workflow_defined(names_)};
      break;
    }
    case Kind::KeyKept:
      row_ = KeyKept{generation_, in.key_defined()};
      break;
    case Kind::PauseKept:
      row_ = parse_pause_kept(in, generation_);
      break;
    case Kind::SubmissionKept:
      row_ = parse_submission_kept(in, generation_);
      break;
    case Kind::ScheduleKept:
      row_ = ScheduleKept{generation_, in.schedule_changed()};
      break;
    case Kind::QuarantineKept:
      row_ = parse_quarantine_kept(in, generation_);
      break;
    case Kind::PipelineKept:
      row_ = parse_pipeline_kept(in);
      break;
    case Kind::TasksKept:
      row_ = parse_tasks_kept(in);
      break;
    case Kind::RoundEnded:
      row_ = parse_round_ended(in, generation_);
      break;
    default:
      return damaged_slice(first_sequence_, "unknown kind of row");
  }
  if (!in.ok()) return damaged_slice(first_sequence_, "malformed row");
  rest_ = in.rest();
  --rows_left_;
  return &row_;
}

std::expected<void, StoreError> note_pipelines(std::uint64_t first_sequence, std::span<const std::byte> slice,
                                               std::vector<std::uint64_t>& numbers) {
  auto reader = CheckpointSliceReader::open(first_sequence, slice);
  if (!reader) return std::unexpected(std::move(reader.error()));
  for (;;) {
    const auto row = reader->next();
    if (!row) return std::unexpected(row.error());
    if (*row == nullptr) return {};
    if (const auto* pipeline = std::get_if<PipelineImage>(*row)) numbers.push_back(pipeline->pipeline_no);
  }
}

}  // namespace leat
