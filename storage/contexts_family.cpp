#include "contexts_family.h"

#include <rocksdb/convenience.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "checkpoint_slice.h"
#include "leat/state_store.h"

namespace leat {
namespace {

constexpr std::size_t kStepContextBytes = std::size_t{1} << 20;
constexpr std::size_t kStepContexts = 4096;
constexpr char kListedFirst = 'a';
constexpr std::size_t kContextKeyBytes = sizeof(std::uint64_t) + sizeof(std::uint32_t);
constexpr std::size_t kListedKeyBytes = 1 + sizeof(std::uint64_t) + kContextKeyBytes;

template <class Number>
void append_big_endian(std::string& out, Number value) {
  for (int shift = 8 * sizeof value; shift > 0;) out += static_cast<char>(value >> (shift -= 8));
}

std::uint64_t take_big_endian(std::string_view& in, std::size_t bytes) {
  std::uint64_t value = 0;
  for (const char byte : in.substr(0, bytes)) value = value << 8 | static_cast<std::uint8_t>(byte);
  in.remove_prefix(bytes);
  return value;
}

ContextPlace take_place(std::string_view& in) {
  ContextPlace place;
  place.pipeline_no = take_big_endian(in, sizeof place.pipeline_no);
  place.place = static_cast<std::uint32_t>(take_big_endian(in, sizeof place.place));
  return place;
}

}  // namespace

std::string context_key(const ContextPlace& place) {
  std::string key;
  append_big_endian(key, place.pipeline_no);
  append_big_endian(key, place.place);
  return key;
}

std::optional<ContextPlace> place_in(const rocksdb::Slice& context_key) {
  std::string_view rest(context_key.data(), context_key.size());
  if (rest.size() != kContextKeyBytes) return std::nullopt;
  return take_place(rest);
}

std::string listed_key(const ListedContext& context) {
  std::string key(1, kListedFirst);
  append_big_endian(key, context.first_sequence);
  return key + context_key(context.place);
}

std::optional<ListedContext> listed_in(const rocksdb::Slice& key) {
  std::string_view rest(key.data(), key.size());
  if (rest.size() != kListedKeyBytes || rest[0] != kListedFirst) return std::nullopt;
  rest.remove_prefix(1);
  ListedContext context;
  context.first_sequence = take_big_endian(rest, sizeof context.first_sequence);
  context.place = take_place(rest);
  return context;
}

rocksdb::Status put_contexts(const JournalDb& journal, std::uint64_t first_sequence,
                             std::span<const ContextApart> contexts, rocksdb::WriteBatch& batch) {
  rocksdb::Status status;
  for (const ContextApart& context : contexts) {
    if (status.ok()) status = batch.Put(journal.contexts(), context_key(context.place), context.text);
    if (status.ok())
      status = batch.Put(journal.checkpoint(), listed_key({context.place, first_sequence}), "");
  }
  return status;
}

std::expected<std::string, StoreError> read_context(const JournalDb& journal, const ContextPlace& place) {
  if (journal.contexts() == nullptr) return std::unexpected(missing_context(place));
  std::string text;
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  const rocksdb::Status status = journal.db().Get(options, journal.contexts(), context_key(place), &text);
  if (status.IsNotFound()) return std::unexpected(missing_context(place));
  if (!status.ok()) return std::unexpected(to_store_error(status, "reading a context"));
  return text;
}

std::expected<void, StoreError> replay_listed(const JournalDb& journal,
                                              const std::function<void(const ListedContext&)>& visit) {
  if (journal.checkpoint() == nullptr) return {};
  const std::unique_ptr<rocksdb::Iterator> at = journal.scan(journal.checkpoint());
  for (at->Seek(listed_key({})); at->Valid(); at->Next()) {
    const auto listed = listed_in(at->key());
    if (!listed) break;
    visit(*listed);
  }
  if (!at->status().ok())
    return std::unexpected(to_store_error(at->status(), "reading the list of contexts"));
  return {};
}

ContextSweeper::ContextSweeper(const JournalDb& journal, const CheckpointMark& oldest)
    : journal_(journal), oldest_(oldest), listed_(journal.scan(journal.checkpoint())) {
  listed_->Seek(listed_key({}));
  if (!may_go()) return;  // most stores have none: then nothing has to be known of what lives
  rows_ = journal.scan(journal.checkpoint());
  rows_->Seek(row_key(oldest.generation, 0));
}

/// Whether the list stands at a context that was brought before the round.
bool ContextSweeper::may_go() const {
  if (!listed_->Valid()) return false;
  const auto listed = listed_in(listed_->key());
  return listed && listed->first_sequence < oldest_.minimum;
}

std::expected<bool, StoreError> ContextSweeper::step() {
  if (rows_ != nullptr) {
    if (auto done = note_rows(); !done) return std::unexpected(std::move(done.error()));
    return true;
  }
  if (!may_go()) {
    if (!listed_->status().ok())
      return std::unexpected(to_store_error(listed_->status(), "reading the list of contexts"));
    return false;
  }
  if (auto done = free_some(); !done) return std::unexpected(std::move(done.error()));
  if (may_go()) return true;
  if (auto done = drop_files(); !done) return std::unexpected(std::move(done.error()));
  return false;
}

std::expected<void, StoreError> ContextSweeper::note_rows() {
  const std::string end = row_key(oldest_.generation + 1, 0);
  for (std::size_t read = 0; read < kStepContextBytes; rows_->Next()) {
    if (!rows_->Valid() || rows_->key().compare(end) >= 0) {
      if (!rows_->status().ok())
        return std::unexpected(to_store_error(rows_->status(), "reading the checkpoint"));
      std::ranges::sort(live_);
      rows_.reset();
      return {};
    }
    read += rows_->value().size();
    const auto first = sequence_in(rows_->key());
    if (!first) return std::unexpected(first.error());
    const auto noted =
        note_pipelines(*first, std::as_bytes(std::span(rows_->value().data(), rows_->value().size())), live_);
    if (!noted) return noted;
  }
  return {};
}

std::expected<void, StoreError> ContextSweeper::free_some() {
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  for (std::size_t looked = 0; looked < kStepContexts && may_go() && status.ok(); ++looked, listed_->Next()) {
    const ContextPlace place = listed_in(listed_->key())->place;
    if (std::ranges::binary_search(live_, place.pipeline_no)) continue;
    status = batch.Delete(journal_.contexts(), context_key(place));
    if (status.ok()) status = batch.Delete(journal_.checkpoint(), listed_->key());
  }
  rocksdb::WriteOptions options;
  options.sync = false;  // what is freed once more after a crash was freed for good
  if (status.ok() && batch.Count() > 0) status = journal_.db().Write(options, &batch);
  if (!status.ok()) return std::unexpected(to_store_error(status, "freeing contexts"));
  return {};
}

/// Whole files at once below the first context that is left, so that no compaction has to read what is gone.
std::expected<void, StoreError> ContextSweeper::drop_files() {
  const std::unique_ptr<rocksdb::Iterator> left = journal_.scan(journal_.contexts());
  left->SeekToFirst();
  rocksdb::Status status = left->status();
  const std::string begin = context_key({});
  const std::string end = left->Valid() ? left->key().ToString() : context_key({~std::uint64_t{0}, 0});
  const rocksdb::Slice from(begin);
  const rocksdb::Slice to(end);
  if (status.ok()) {
    status = rocksdb::DeleteFilesInRange(&journal_.db(), journal_.contexts(), &from, &to, false);
  }
  if (!status.ok()) return std::unexpected(to_store_error(status, "freeing contexts"));
  return {};
}

}  // namespace leat
