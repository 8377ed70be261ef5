#include "carried_events.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "checkpoint_slice.h"

namespace leat {
namespace {

constexpr std::size_t kStepBytes = std::size_t{1} << 20;
constexpr std::size_t kValueBytes = 64;  // what looking at a value costs besides its bytes

std::span<const std::byte> bytes_of(const rocksdb::Slice& value) {
  return {reinterpret_cast<const std::byte*>(value.data()), value.size()};
}

}  // namespace

EventCarrier::EventCarrier(const JournalDb& journal, const CheckpointMark& from, const CheckpointMark& to)
    : journal_(journal), from_(from), to_(to) {
  enter(Phase::Rows);
}

void EventCarrier::enter(Phase phase) {
  phase_ = phase;
  const bool in_journal = phase == Phase::Younger || phase == Phase::Journal;
  at_ =
      phase == Phase::Done ? nullptr : journal_.scan(in_journal ? journal_.family() : journal_.checkpoint());
  switch (phase) {
    case Phase::Rows:
      return at_->Seek(row_key(to_.generation, 0));
    case Phase::Younger:
      return at_->Seek(journal_key(to_.minimum));
    case Phase::Journal:
      return at_->SeekForPrev(journal_key(to_.minimum - 1));
    case Phase::Carried:
      return at_->Seek(carried_key(from_.generation, 0));
    case Phase::Done:
      return;
  }
}

bool EventCarrier::in_range() const {
  if (!at_->Valid()) return false;
  const rocksdb::Slice key = at_->key();
  switch (phase_) {
    case Phase::Rows:
      return key.compare(row_key(to_.generation + 1, 0)) < 0;
    case Phase::Younger:
      return missing_ > 0 && key.compare(journal_key(to_.end)) < 0;
    case Phase::Journal:
      return missing_ > 0 && key.compare(journal_key(from_.minimum)) >= 0;
    case Phase::Carried:
      return missing_ > 0 && key.compare(carried_key(from_.generation + 1, 0)) < 0;
    case Phase::Done:
      break;
  }
  return false;
}

std::expected<bool, StoreError> EventCarrier::step() {
  rocksdb::WriteBatch batch;
  for (std::size_t read = 0; phase_ != Phase::Done && read < kStepBytes;) {
    if (in_range()) {
      read += at_->value().size() + kValueBytes;
      if (auto done = visit(batch); !done) return std::unexpected(std::move(done.error()));
      phase_ == Phase::Journal ? at_->Prev() : at_->Next();
      continue;
    }
    if (!at_->status().ok())
      return std::unexpected(to_store_error(at_->status(), "reading what is to be carried"));
    if (phase_ == Phase::Rows) {
      std::ranges::sort(live_);
      live_.erase(std::ranges::unique(live_).begin(), live_.end());
      created_.assign(live_.size(), false);
      missing_ = live_.size();
    }
    enter(static_cast<Phase>(static_cast<std::uint8_t>(phase_) + 1));
  }
  if (batch.Count() > 0) {
    rocksdb::WriteOptions options;
    options.sync = false;  // synced before anything is dropped
    const rocksdb::Status status = journal_.db().Write(options, &batch);
    if (!status.ok()) return std::unexpected(to_store_error(status, "carrying events of what lives"));
  }
  return phase_ != Phase::Done;
}

std::expected<void, StoreError> EventCarrier::visit(rocksdb::WriteBatch& batch) {
  const auto first = sequence_in(at_->key());
  if (!first) return std::unexpected(first.error());
  const std::span<const std::byte> bytes = bytes_of(at_->value());
  if (phase_ == Phase::Rows) return note_pipelines(*first, bytes, live_);
  if (phase_ == Phase::Younger) return note_younger(*first, bytes);
  return carry(*first, bytes, batch);
}

/// Those that were created behind the round's minimum have nothing before it.
std::expected<void, StoreError> EventCarrier::note_younger(std::uint64_t first,
                                                           std::span<const std::byte> commit) {
  auto reader = CommitReader::open(first, commit);
  if (!reader) return std::unexpected(std::move(reader.error()));
  for (;;) {
    const auto group = reader->next();
    if (!group) return std::unexpected(group.error());
    if (*group == nullptr) return {};
    if (!creates((*group)->record)) continue;
    if (const auto place = place_of((*group)->record)) found(*place);
  }
}

std::expected<void, StoreError> EventCarrier::carry(std::uint64_t first, std::span<const std::byte> commit,
                                                    rocksdb::WriteBatch& batch) {
  auto reader = CommitReader::open(first, commit);
  if (!reader) return std::unexpected(std::move(reader.error()));
  CommitWriter writer;
  writer.begin(first, first, reader->header().epoch, first);
  std::uint64_t kept = 0;
  GroupsLeftOut left_out;
  std::int64_t time_ns = 0;
  const auto leave_out = [&] {
    if (left_out.transitions > 0) writer.add(TransitionGroup(time_ns, left_out));
    left_out.transitions = 0;
  };
  for (;;) {
    const auto group = reader->next();
    if (!group) return std::unexpected(group.error());
    if (*group == nullptr) break;
    time_ns = (*group)->time_ns;
    const auto place = place_of((*group)->record);
    if (!place) {
      left_out.transitions += (*group)->transitions;
      continue;
    }
    leave_out();
    writer.add(time_ns, (*group)->bytes, (*group)->transitions);
    ++kept;
    // Backwards, its creation is the last that is met of it.
    const bool is_last = phase_ == Phase::Journal && creates((*group)->record);
    if (is_last) found(*place);
  }
  if (kept == 0) return {};
  leave_out();
  const std::span<const std::byte> packed = writer.finish();
  const rocksdb::Status status =
      batch.Put(journal_.checkpoint(), carried_key(to_.generation, first),
                rocksdb::Slice(reinterpret_cast<const char*>(packed.data()), packed.size()));
  if (!status.ok()) return std::unexpected(to_store_error(status, "carrying events of what lives"));
  return {};
}

std::optional<std::size_t> EventCarrier::place_of(const GroupRecord& record) const {
  const std::optional<std::uint64_t> number = pipeline_of(record);
  if (!number) return std::nullopt;
  const auto at = std::ranges::lower_bound(live_, *number);
  if (at == live_.end() || *at != *number) return std::nullopt;
  return static_cast<std::size_t>(at - live_.begin());
}

void EventCarrier::found(std::size_t place) {
  if (created_[place]) return;
  created_[place] = true;
  --missing_;
}

}  // namespace leat
