#include "contexts_check.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "commit.h"
#include "contexts_family.h"
#include "leat/state_store.h"

namespace leat {
namespace {

/// A mark, and where it stands.
struct Marked {
  ListedContext context;
  ContextMark mark = ContextMark::None;
};

ContextPlace place_of(const Marked& marked) {
  return marked.context.place;
}

void note(std::vector<Marked>& out, std::uint64_t first, const ContextView& context,
          const ContextPlace& place) {
  if (context.is_apart()) out.push_back({{place, first}, context.mark});
}

std::expected<void, StoreError> note_commit(std::vector<Marked>& out, std::uint64_t first,
                                            std::span<const std::byte> commit) {
  auto reader = CommitReader::open(first, commit);
  if (!reader) return std::unexpected(std::move(reader.error()));
  for (;;) {
    const auto group = reader->next();
    if (!group) return std::unexpected(group.error());
    if (*group == nullptr) return {};
    if (const auto* created = std::get_if<PipelineCreated>(&(*group)->record)) {
      note(out, first, created->context, ContextPlace::of_pipeline(created->pipeline_no));
      const bool whole = decode_done(created->traits.tasks_done, [&](const TaskDone& done) {
        note(out, first, done.context, ContextPlace::of_task(created->pipeline_no, done.task));
        return true;
      });
      if (!whole) continue;  // the fold refuses it
    } else if (const auto* ended = std::get_if<TaskEnded>(&(*group)->record)) {
      note(out, first, ended->context, ContextPlace::of_task(ended->pipeline_no, ended->task));
    }
  }
}

/// All marks in records that the store has, by place.
std::expected<std::vector<Marked>, StoreError> marks_of(const JournalDb& journal,
                                                        const CheckpointMark& oldest) {
  std::vector<Marked> marked;
  const auto visit = [&marked](std::uint64_t first, std::span<const std::byte> commit) {
    return note_commit(marked, first, commit);
  };
  auto done = journal.replay_carried(oldest.generation, visit);
  if (done) done = journal.replay(visit, oldest.minimum);
  if (!done) return std::unexpected(std::move(done.error()));
  std::ranges::sort(marked, {}, place_of);
  return marked;
}

/// The list, by place.
std::expected<std::vector<ListedContext>, StoreError> listed_of(const JournalDb& journal) {
  std::vector<ListedContext> listed;
  auto done = replay_listed(journal, [&listed](const ListedContext& one) { listed.push_back(one); });
  if (!done) return std::unexpected(std::move(done.error()));
  std::ranges::sort(listed, {}, &ListedContext::place);
  return listed;
}

/// @return  null: the list has none at that place
const ListedContext* find(const std::vector<ListedContext>& listed, const ContextPlace& place) {
  const auto at = std::ranges::lower_bound(listed, place, {}, &ListedContext::place);
  return at == listed.end() || at->place != place ? nullptr : &*at;
}

StoreError disagree(const ContextPlace& place, std::string_view what) {
  return {StoreErrorCode::Damaged,
          fmt::format("contexts: pipeline {}, place {}: {}", place.pipeline_no, place.place, what)};
}

/// Visits all contexts by place, each with its mark or null, and each mark without a context.
std::expected<void, StoreError> compare(
    const JournalDb& journal, const std::vector<Marked>& marked,
    const std::function<void(const ContextPlace&, const Marked*, const rocksdb::Slice* text)>& visit) {
  auto next = marked.begin();
  if (journal.contexts() != nullptr) {
    const std::unique_ptr<rocksdb::Iterator> at = journal.scan(journal.contexts());
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      const auto place = place_in(at->key());
      if (!place)
        return std::unexpected(StoreError{StoreErrorCode::Damaged, "contexts: a key of a wrong length"});
      for (; next != marked.end() && place_of(*next) < *place; ++next)
        visit(place_of(*next), &*next, nullptr);
      const bool is_marked = next != marked.end() && place_of(*next) == *place;
      const rocksdb::Slice text = at->value();
      visit(*place, is_marked ? &*next : nullptr, &text);
      if (is_marked) ++next;
    }
    if (!at->status().ok()) return std::unexpected(to_store_error(at->status(), "reading the contexts"));
  }
  for (; next != marked.end(); ++next) visit(place_of(*next), &*next, nullptr);
  return {};
}

}  // namespace

std::expected<void, StoreError> check_contexts(const JournalDb& journal, const CheckpointMark& oldest,
                                               const std::function<void(StoreError&&)>& report) {
  const auto marked = marks_of(journal, oldest);
  if (!marked) return std::unexpected(marked.error());
  const auto listed = listed_of(journal);
  if (!listed) return std::unexpected(listed.error());
  std::expected<void, StoreError> agreed;
  std::size_t found = 0;
  auto done = compare(journal, *marked,
                      [&](const ContextPlace& place, const Marked* mark, const rocksdb::Slice* text) {
                        const ListedContext* const its = find(*listed, place);
                        found += its != nullptr;
                        if (text == nullptr) return report(missing_context(place));
                        if (mark != nullptr && mark_of(text->ToStringView(), place) != mark->mark)
                          report(other_context(place));
                        if (its == nullptr) {
                          if (agreed) agreed = std::unexpected(disagree(place, "it is not in the list"));
                        } else if (mark != nullptr && its->first_sequence != mark->context.first_sequence) {
                          if (agreed)
                            agreed = std::unexpected(disagree(place, "the list has it under another commit"));
                        } else if (mark == nullptr &&
                                   its->first_sequence >= oldest.minimum) {  // else it is about to be freed
                          if (agreed) agreed = std::unexpected(disagree(place, "no record has a mark of it"));
                        }
                      });
  if (!done) return done;
  if (agreed && found != listed->size()) {
    return std::unexpected(
        StoreError{StoreErrorCode::Damaged,
                   fmt::format("contexts: the list has {}, of which {} are there", listed->size(), found)});
  }
  return agreed;
}

std::expected<void, StoreError> rebuild_contexts(const JournalDb& journal, const CheckpointMark& oldest) {
  const auto marked = marks_of(journal, oldest);
  if (!marked) return std::unexpected(marked.error());
  const auto listed = listed_of(journal);
  if (!listed) return std::unexpected(listed.error());
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  for (const ListedContext& one : *listed) {
    if (status.ok()) status = batch.Delete(journal.checkpoint(), listed_key(one));
  }
  auto done = compare(
      journal, *marked, [&](const ContextPlace& place, const Marked* mark, const rocksdb::Slice* text) {
        if (!status.ok() || text == nullptr) return;
        status = mark == nullptr ? batch.Delete(journal.contexts(), context_key(place))
                                 : batch.Put(journal.checkpoint(), listed_key(mark->context), "");
      });
  if (!done) return done;
  rocksdb::WriteOptions options;
  options.sync = true;
  if (status.ok()) status = journal.db().Write(options, &batch);
  if (!status.ok()) return std::unexpected(to_store_error(status, "listing the contexts anew"));
  return {};
}

}  // namespace leat
