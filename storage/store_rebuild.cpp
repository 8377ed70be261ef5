#include "store_rebuild.h"

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "contexts_check.h"
#include "history_check.h"
#include "history_pack.h"
#include "journal_family.h"
#include "journal_fold.h"
#include "leat/store_image.h"
#include "table_check.h"

namespace leat {
namespace {

// Stands ready, and durable, before the damaged history goes.
constexpr std::string_view kNewHistory = "/REPAIR-HISTORY";

// In Superblock::repairing.
constexpr std::pair<std::uint64_t, std::string_view> kNotes[] = {
    {1, kCheckpointFamily}, {2, kHistoryFamily}, {4, kContextsFamily}};

std::unexpected<StoreError> fail(const rocksdb::Status& status, std::string_view deed,
                                 const std::string& where) {
  return std::unexpected(to_store_error(status, fmt::format("{} {}", deed, where)));
}

/// A round, and what it and the journal behind it amount to, as the superblock says.
struct Base {
  CheckpointMark mark;
  StoreImage image;
};

std::optional<Base> fold_to_the_end(const JournalDb& journal, const CheckpointMark& mark,
                                    const Superblock& block) {
  if (mark.generation != 0 && !rows_are_whole(journal, mark)) return std::nullopt;
  auto image = fold_events(journal, mark, StoreImage::Keep::Unfinished);
  if (!image || image->end_sequence() != block.journal_end || image->hash() != block.journal_hash)
    return std::nullopt;
  return Base{mark, std::move(*image)};
}

/// The oldest round that can be trusted; the store's beginning, where the journal goes back to it.
std::optional<Base> find_base(const JournalDb& journal, const CheckpointMarks& marks,
                              const Superblock& block) {
  for (const CheckpointMark& mark : marks.kept()) {
    if (auto base = fold_to_the_end(journal, mark, block)) return base;
  }
  return fold_to_the_end(journal, CheckpointMark(), block);
}

using Packs = std::map<std::uint64_t, std::string>;  // by the first number of their commits

/// What can be read of the history. Tables one by one: a family with an altered one cannot be read as a
/// whole.
Packs read_packs(const JournalDb& journal, const std::string& directory,
                 const std::set<std::string>& altered) {
  std::vector<rocksdb::LiveFileMetaData> tables;
  journal.db().GetLiveFilesMetaData(&tables);
  Packs packs;
  for (const rocksdb::LiveFileMetaData& table : tables) {
    const std::string name = table.name.substr(1);  // behind a slash
    if (table.column_family_name != kHistoryFamily || altered.contains(name)) continue;
    rocksdb::SstFileReader reader((rocksdb::Options()));
    if (!reader.Open(directory + "/" + name).ok()) continue;
    const std::unique_ptr<rocksdb::Iterator> at(reader.NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      const auto first = sequence_in(at->key());
      if (first) packs[*first] = at->value().ToString();
    }
  }
  return packs;
}

/// Writes packs one behind the other, each with what lies before it now.
class HistoryTable {
 public:
  HistoryTable(std::string path, rocksdb::Env& env)
      : path_(std::move(path)),
        env_(env),
        table_(rocksdb::EnvOptions(), options(env)),
        status_(table_.Open(path_)) {}

  void begin(std::uint64_t first) { writer_.begin(first), first_ = first; }
  void add(const PipelineSummary& summary) {
    // Any group carries a summary; its record does not come along.
    TransitionGroup group(summary.finished_ns, KeyDefined());
    group.add_summary(summary);
    writer_.add(group);
  }
  void end() {
    if (writer_.count() == 0) return;
    const std::span<const std::byte> pack = writer_.finish();
    is_empty_ = false;
    if (status_.ok())
      status_ = table_.Put(history_key(first_), {reinterpret_cast<const char*>(pack.data()), pack.size()});
  }
  /// Durable when it returns.
  rocksdb::Status finish() {
    if (status_.ok() && !is_empty_) status_ = table_.Finish();
    if (is_empty_) env_.DeleteFile(path_).PermitUncheckedError();
    return status_;
  }

 private:
  static rocksdb::Options options(rocksdb::Env& env) {
    rocksdb::Options options;
    options.env = &env;
    options.compression = rocksdb::kNoCompression;
    return options;
  }

  const std::string path_;
  rocksdb::Env& env_;
  rocksdb::SstFileWriter table_;
  HistoryPackWriter writer_{HistoryTail()};
  std::uint64_t first_ = 0;
  bool is_empty_ = true;
  rocksdb::Status status_;
};

/// The summaries of a pack, behind those that follow from the journal.
void add_others(std::uint64_t first, const std::string& bytes, const std::vector<PipelineSummary>& known,
                HistoryTable& table) {
  auto pack = HistoryPackReader::open(first, std::as_bytes(std::span(bytes)));
  if (!pack) return;
  for (auto next = pack->next(); next && *next != nullptr; next = pack->next()) {
    if (std::ranges::find(known, (*next)->id, &PipelineSummary::id) == known.end()) table.add(**next);
  }
}

/// Writes the history anew: what the journal tells, and of what lies before it whatever can be read.
std::expected<void, StoreError> write_history(const JournalDb& journal, const CheckpointMark& base,
                                              const Packs& old, const std::string& path, rocksdb::Env& env) {
  // Below, a pipeline may have ended that the round came too late for: the journal does not tell how.
  const std::uint64_t exact_from = base.generation == 0 ? 0 : base.end;
  HistoryTable table(path, env);
  auto next = old.begin();
  FinishedPipelines finished;
  const auto old_until = [&](std::uint64_t first) {
    for (; next != old.end() && next->first < first; ++next) {
      if (next->first >= exact_from) continue;  // no such commit
      table.begin(next->first);
      add_others(next->first, next->second, {}, table);
      table.end();
    }
  };
  FoldHooks hooks;
  hooks.on_finish = [&finished](const PipelineImage& pipeline) { finished.add(pipeline); };
  hooks.on_commit = [&](std::uint64_t first) {
    old_until(first);
    table.begin(first);
    for (const PipelineSummary& summary : finished.summaries()) table.add(summary);
    if (next != old.end() && next->first == first) {
      if (first < exact_from) add_others(first, next->second, finished.summaries(), table);
      ++next;
    }
    table.end();
    finished.clear();
  };
  const auto image = fold_events(journal, base, StoreImage::Keep::Unfinished, hooks);
  if (!image) return std::unexpected(image.error());
  old_until(~std::uint64_t{0});
  const rocksdb::Status status = table.finish();
  if (!status.ok()) return fail(status, "writing", path);
  return {};
}

/// Drops the rounds that cannot be trusted, in one write.
std::expected<void, StoreError> drop_rounds(JournalDb& journal, const CheckpointMarks& marks,
                                            const Base& base, RepairReport& report) {
  CheckpointMarks left = marks;
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  std::string dropped;
  for (const CheckpointMark& mark : marks.kept()) {
    if (mark == base.mark || mark.generation == 0) continue;
    const auto image = fold_from(journal, mark, StoreImage::Keep::Unfinished);
    const bool is_later = mark.generation > base.mark.generation && rows_are_whole(journal, mark);
    if (is_later && image && disagreement(base.image, *image).empty()) continue;
    left.forget(mark.generation);
    dropped += fmt::format("{}{}", dropped.empty() ? "" : ", ", mark.generation);
    if (status.ok())
      status = batch.DeleteRange(journal.checkpoint(), row_key(mark.generation, 0),
                                 row_key(mark.generation + 1, 0));
  }
  if (dropped.empty()) return {};
  const bool moved = marks.oldest() != base.mark;
  if (moved) {
    if (status.ok())
      status =
          batch.DeleteRange(journal.checkpoint(), carried_key(0, 0), carried_key(base.mark.generation, 0));
    if (status.ok())
      status = batch.DeleteRange(journal.family(), journal_key(0), journal_key(base.mark.minimum));
    report.lost.push_back(fmt::format(
        "events: those before number {} are gone, with the round that they began at", base.mark.minimum));
  }
  if (status.ok())
    status =
        batch.Put(journal.checkpoint(), rocksdb::Slice(kMarksKey.data(), kMarksKey.size()), left.encode());
  rocksdb::WriteOptions options;
  options.sync = true;
  if (status.ok()) status = journal.db().Write(options, &batch);
  if (!status.ok()) return fail(status, "dropping rounds of", "the checkpoint");
  report.done.push_back(
      fmt::format("checkpoint: round {} dropped, round {} and the journal hold all that lives", dropped,
                  base.mark.generation));
  return {};
}

/// The families' rebuilding, from a note in the superblock to its end.
class Rebuilding {
 public:
  Rebuilding(StoreDirectory& place, std::set<std::string>& broken, const std::vector<AlteredTable>& altered,
             rocksdb::Env& env, RepairReport& report)
      : place_(place), broken_(broken), report_(report), env_(env) {
    for (const AlteredTable& table : altered) {
      altered_.insert(table.name);
      altered_families_.insert(table.family);
    }
    with_altered_.paranoid_checks = false;  // else a table that cannot be opened fails the opening
    // A closed store's logs are empty: what an earlier try left in them is its own, and may be torn.
    if (place.superblock().repairing == 0) return;
    for (rocksdb::DBOptions* const options : {&options_, &with_altered_})
      options->wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  }

  std::expected<void, StoreError> run() {
    const std::uint64_t begun = place_.superblock().repairing;
    if (begun != 0) broken_.clear();
    for (const auto& [bit, family] : kNotes) {
      if ((begun & bit) != 0) broken_.insert(std::string(family));
    }
    // Of a repair that was cut short the new history stands ready, unless it was to be empty.
    if (begun == 0 || !env_.FileExists(new_history()).ok()) {
      if (auto ready = prepare(); !ready) return ready;
    }
    if (broken_.empty()) return {};
    if (auto noted = note(); !noted) return noted;
    return carry_out();
  }

 private:
  const std::string& directory() const { return place_.path(); }
  std::string new_history() const { return directory() + std::string(kNewHistory); }

  /// Writes nothing that counts. What does not follow from the rest is no longer among the broken ones.
  std::expected<void, StoreError> prepare() {
    const auto journal = JournalDb::open(directory(), JournalDb::Access::Read, with_altered_);
    if (!journal) return cannot("the journal cannot be read");
    const bool rows_altered = broken_.contains(std::string(kCheckpointFamily)) && !altered_.empty();
    const auto marks = rows_altered ? CheckpointMarks() : journal->marks();
    const auto base = find_base(*journal, marks ? *marks : CheckpointMarks(), place_.superblock());
    if (!base) {
      return cannot(
          "no round of the checkpoint is whole, and the journal does not go back to the store's first "
          "commit: what lives cannot be told; restore a backup");
    }
    if (!broken_.contains(std::string(kHistoryFamily))) return {};
    if (base->mark.generation != 0 && !altered_.empty()) {
      report_.lost.push_back(
          fmt::format("history: what altered tables held of before number {}", base->mark.end));
    }
    return write_history(*journal, base->mark, read_packs(*journal, directory(), altered_), new_history(),
                         env_);
  }

  std::expected<void, StoreError> cannot(std::string_view why) {
    for (const std::string& family : broken_) report_.lost.push_back(fmt::format("{}: {}", family, why));
    broken_.clear();
    return {};
  }

  /// From here on the store counts as broken until the repair is complete.
  std::expected<void, StoreError> note() {
    Superblock block = place_.superblock();
    block.manifest = 0;  // its list of files is about to change
    for (const auto& [bit, family] : kNotes) {
      if (broken_.contains(std::string(family))) block.repairing |= bit;
    }
    return place_.replace(block);
  }

  std::expected<void, StoreError> carry_out() {
    if (auto gone = drop_altered(); !gone) return gone;
    auto journal = JournalDb::open(directory(), JournalDb::Access::Write, options_);
    if (!journal) return fail(journal.error(), "opening", directory());
    if (broken_.contains(std::string(kCheckpointFamily))) {
      if (auto done = rebuild_checkpoint(*journal); !done) return done;
    }
    if (broken_.contains(std::string(kHistoryFamily))) {
      if (auto done = exchange_history(*journal); !done) return done;
    }
    // The list of contexts is a part of the checkpoint's family.
    if (auto done = list_contexts(*journal); !done) return done;
    rocksdb::Status status = journal->db().Flush(rocksdb::FlushOptions(),
                                                 {journal->families().begin(), journal->families().end()});
    if (status.ok()) status = journal->close();
    if (!status.ok()) return fail(status, "closing", directory());
    Superblock block = place_.superblock();
    block.manifest = manifest_digest(directory(), env_);
    block.repairing = 0;
    auto ended = place_.replace(block);
    env_.DeleteFile(new_history()).PermitUncheckedError();  // none is harmless
    return ended;
  }

  /// Families with altered tables, in a database opened for that alone: one that bears such tables keeps
  /// quiet about flushes that fail, and waits for them for ever.
  std::expected<void, StoreError> drop_altered() {
    if (altered_families_.empty()) return {};
    auto journal = JournalDb::open(directory(), JournalDb::Access::Write, with_altered_);
    if (!journal) return fail(journal.error(), "opening", directory());
    for (const std::string& family : altered_families_) {
      if (!broken_.contains(family)) continue;  // altered since: the next opening refuses it
      if (const auto status = journal->renew(family); !status.ok()) return fail(status, "renewing", family);
    }
    const rocksdb::Status status = journal->close();
    if (!status.ok()) return fail(status, "closing", directory());
    return {};
  }

  std::expected<void, StoreError> rebuild_checkpoint(JournalDb& journal) {
    const auto marks = journal.marks();
    if (!marks) return std::unexpected(marks.error());
    const auto base = find_base(journal, *marks, place_.superblock());
    if (!base) {
      return std::unexpected(StoreError{StoreErrorCode::Damaged,
                                        fmt::format("{}: altered since its repair began", directory())});
    }
    if (base->mark.generation != 0) return drop_rounds(journal, *marks, *base, report_);
    const rocksdb::Status status = journal.renew(kCheckpointFamily);
    if (!status.ok()) return fail(status, "renewing", "the checkpoint");
    report_.done.push_back("checkpoint: dropped, the journal holds all that it held");
    return {};
  }

  std::expected<void, StoreError> exchange_history(JournalDb& journal) {
    rocksdb::Status status = journal.renew(kHistoryFamily);
    rocksdb::IngestExternalFileOptions options;
    const bool is_there = env_.FileExists(new_history()).ok();  // else it is empty
    if (status.ok() && is_there)
      status = journal.db().IngestExternalFile(journal.history(), {new_history()}, options);
    if (!status.ok()) return fail(status, "renewing", "the history");
    report_.done.push_back("history: rebuilt from the journal and what could be read of it");
    return {};
  }

  std::expected<void, StoreError> list_contexts(const JournalDb& journal) {
    const bool asked = broken_.contains(std::string(kContextsFamily));
    if (!asked && !broken_.contains(std::string(kCheckpointFamily))) return {};
    const auto marks = journal.marks();
    if (!marks) return std::unexpected(marks.error());
    if (asked)
      report_.done.push_back("contexts: those that no record has a mark of are freed, the others listed");
    return rebuild_contexts(journal, marks->oldest());
  }

  StoreDirectory& place_;
  std::set<std::string>& broken_;
  std::set<std::string> altered_, altered_families_;  // tables, and whose they are
  RepairReport& report_;
  rocksdb::Env& env_;
  EnvWithout env_without_altered_{env_, [this](const std::string& name) { return altered_.contains(name); },
                                  true};
  rocksdb::DBOptions with_altered_ = journal_db_options(&env_without_altered_);
  rocksdb::DBOptions options_ = journal_db_options(&env_);
};

}  // namespace

std::expected<void, StoreError> rebuild_families(StoreDirectory& place, std::set<std::string> broken,
                                                 rocksdb::Env& env, RepairReport& report) {
  const auto altered = find_altered_tables(place.path(), env);
  if (!altered) return std::unexpected(altered.error());
  return Rebuilding(place, broken, *altered, env, report).run();
}

}  // namespace leat
