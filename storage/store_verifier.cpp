// Examines a store.
#include "leat/store_verifier.h"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "contexts_check.h"
#include "history_check.h"
#include "history_pack.h"
#include "journal_family.h"
#include "journal_fold.h"
#include "journal_recovery.h"
#include "leat/store_image.h"
#include "leat/waiting.h"
#include "store_directory.h"
#include "store_examination.h"
#include "table_check.h"

namespace leat {
namespace {

// Beside a live writer a finding may be a file that was replaced between two looks. Each try meets few of
// them, and they are megabytes of writing apart.
constexpr int kTries = 8;

/// Collects findings; what depends on a part that is broken is left out.
class Examination {
 public:
  Examination(const std::string& directory, const Superblock& block) : directory_(directory), block_(block) {}

  std::vector<Finding> run() {
    examine_floor();
    if (block_.repairing != 0)
      return report(repair_was_cut_short(directory_), kHistoryFamily), std::move(findings_);
    if (block_.created) examine_journal();
    return std::move(findings_);
  }

  /// Of a journal in a database that somebody else has open.
  std::vector<Finding> run(const JournalDb& journal) {
    examine_floor();
    if (!block_.created) return std::move(findings_);
    const auto promise = read_promise(directory_, block_, StoreEnvironment().boot);
    if (!promise) return report(StoreError(promise.error())), std::move(findings_);
    if (auto end = journal.check(JournalEnd::of(block_), promise->last); !end) {
      report(std::move(end.error()));
    } else {
      examine_commits(journal, *promise);
    }
    return std::move(findings_);
  }

 private:
  /// @param derived  see Finding
  void report(StoreError&& what, std::string_view derived = {}) {
    if (!what.message.starts_with(directory_)) what.message = fmt::format("{}: {}", directory_, what.message);
    findings_.push_back({std::move(what), std::string(derived)});
  }

  void examine_floor() {
    if (!block_.created) return;
    bool flawed = false;
    const auto floor = read_floor(directory_, &flawed);
    // A crash may leave one sector unwritten, an orderly close does not.
    if (floor && flawed && block_.clean) {
      report({StoreErrorCode::Damaged, "FLOOR was altered since the store was closed"});
    }
    if (!floor && block_.clean) report(StoreError(floor.error()));
  }

  void examine_journal() {
    const StoreEnvironment environment;
    const std::uint64_t manifest = block_.manifest;  // 0: it is, or was about to be, open
    if (manifest != 0 && manifest_digest(directory_, *environment.env) != manifest) {
      return report({StoreErrorCode::Damaged,
                     "CURRENT or the MANIFEST that it names was altered since the store was closed"});
    }
    auto altered = find_altered_tables(directory_, *environment.env);
    if (!altered) return report(std::move(altered.error()));
    for (AlteredTable& table : *altered) {
      const bool derived = table.family == kCheckpointFamily || table.family == kHistoryFamily;
      report(std::move(table.error), derived ? table.family : std::string());
    }
    if (!altered->empty()) return;
    // Before the journal: beside a live writer it only rises.
    const auto promise = read_promise(directory_, block_, environment.boot);
    if (!promise) return report(StoreError(promise.error()));
    const auto mode = recovery_mode(directory_, block_, environment);
    if (!mode) return report(StoreError(mode.error()));
    rocksdb::DBOptions options = journal_db_options(environment.env);
    options.wal_recovery_mode = *mode;
    const auto journal = JournalDb::open(directory_, JournalDb::Access::Read, options);
    if (!journal) return report(to_store_error(journal.error(), "opening"));
    if (const auto status = journal->db().VerifyChecksum(); !status.ok()) {
      report(to_store_error(status, "the checksums of blocks"));
    }
    examine_commits(*journal, *promise);
  }

  void examine_commits(const JournalDb& journal, const Promise& promise) {
    if (const auto end = journal.end(JournalEnd::of(block_)); !end) return report(StoreError(end.error()));
    const auto marks = journal.marks();
    if (!marks) return report(StoreError(marks.error()));
    const CheckpointMark& oldest = marks->oldest();
    HistoryCheck history(journal, oldest.generation == 0 ? 0 : oldest.end);
    FinishedPipelines finished;
    std::expected<void, StoreError> agreed;
    FoldHooks hooks;
    hooks.on_finish = [&finished](const PipelineImage& pipeline) { finished.add(pipeline); };
    hooks.on_commit = [&](std::uint64_t first) {
      if (agreed) agreed = history.committed(first, finished);
      finished.clear();
    };
    const auto image = fold_events(journal, oldest, StoreImage::Keep::Unfinished, hooks);
    if (!image) {
      // A later round may be whole.
      const bool by_rows = marks->kept().size() > 1 && !rows_are_whole(journal, oldest);
      return report(StoreError(image.error()), by_rows ? kCheckpointFamily : std::string_view());
    }
    const std::uint64_t end = image->end_sequence() == 0 ? block_.journal_end : image->end_sequence();
    if (auto kept = check_promise(directory_, promise, end); !kept) report(std::move(kept.error()));
    for (const CheckpointMark& mark : marks->kept()) {
      if (mark.generation != 0) examine_round(journal, mark, *image);
    }
    if (auto waits = examine_waiting(journal, *image); !waits) report(std::move(waits.error()));
    if (agreed) agreed = examine_history(journal);
    if (!agreed) report(std::move(agreed.error()), kHistoryFamily);
    auto apart = check_contexts(journal, oldest, [this](StoreError&& what) { report(std::move(what)); });
    if (!apart) report(std::move(apart.error()), kContextsFamily);
  }

  /// Who waits in the store alone has a row, lives nowhere else, and stands where the journal put it.
  static std::expected<void, StoreError> examine_waiting(const JournalDb& journal, const StoreImage& image) {
    const auto lines = journal.waiting_lines();
    if (!lines) return std::unexpected(lines.error());
    const auto damaged = [](std::string what) {
      return std::unexpected(
          StoreError{StoreErrorCode::Damaged, "pipelines that wait in the store alone: " + std::move(what)});
    };
    std::map<WaitingLine, WaitingBounds> found;
    for (const WaitingBounds& line : *lines) {
      found.emplace(line.line, line);
      std::uint64_t rows = 0;
      bool sound = true;
      const auto look = [&](std::uint64_t,
                            std::span<const std::byte> row) -> std::expected<bool, StoreError> {
        ++rows;
        sound &= decode_waiting(row, [&](std::int64_t, const PipelineCreated& created) {
          sound &= created.workflow_no == line.line.workflow_no &&
                   image.workflows().contains(created.workflow_no) &&
                   !image.pipelines().contains(created.pipeline_no);
        });
        return true;
      };
      if (auto done = journal.replay_waiting(line.line, line.begin, look); !done) return done;
      if (!sound) return damaged("one is of no known workflow, or lives as well, or cannot be read");
      if (rows != line.count()) return damaged(fmt::format("{} of {} are there", rows, line.count()));
    }
    for (const auto& [line, said] : image.waiting()) {
      const auto place = found.find(line);
      const bool same = place != found.end() && said.end.value_or(place->second.end) == place->second.end &&
                        said.begin.value_or(place->second.begin) == place->second.begin;
      if (!same) return damaged("their lines and the journal disagree");
    }
    return {};
  }

  /// Each pack says how many summaries lie before it, so that none can be missing between two.
  static std::expected<void, StoreError> examine_history(const JournalDb& journal) {
    std::optional<HistoryTail> expected;
    return journal.replay_history(
        0, [&](std::uint64_t first, std::span<const std::byte> bytes) -> std::expected<bool, StoreError> {
          auto pack = HistoryPackReader::open(first, bytes);
          if (!pack) return std::unexpected(std::move(pack.error()));
          const HistoryTail& before = pack->before();
          if (expected && (before.count != expected->count || before.bytes != expected->bytes)) {
            return std::unexpected(
                StoreError{StoreErrorCode::Damaged,
                           fmt::format("summaries are missing before commit {} of the history", first)});
          }
          for (auto next = pack->next(); !next || *next != nullptr; next = pack->next()) {
            if (!next) return std::unexpected(next.error());
          }
          expected = {.count = before.count + pack->count(), .bytes = before.bytes + bytes.size()};
          return true;
        });
  }

  /// A round and the journal behind it must amount to what the whole journal does.
  void examine_round(const JournalDb& journal, const CheckpointMark& mark, const StoreImage& whole) {
    const auto image = fold_from(journal, mark, StoreImage::Keep::Unfinished);
    if (!image) return report(StoreError(image.error()), kCheckpointFamily);
    if (const std::string wrong = disagreement(whole, *image); !wrong.empty()) {
      report({StoreErrorCode::Damaged,
              fmt::format("the checkpoint's round {} and the journal disagree: {}", mark.generation, wrong)},
             kCheckpointFamily);
    }
  }

  const std::string& directory_;
  const Superblock block_;
  std::vector<Finding> findings_;
};

/// What a writer changes with all that it acknowledges, opens or closes.
struct Progress {
  std::expected<Superblock, StoreError> block;
  std::uint64_t floor_turn;

  static Progress of(const std::string& directory) {
    auto block = read_superblock(directory);
    const auto floor = read_floor(directory);
    return {std::move(block), floor ? floor->turn : 0};
  }
  bool operator==(const Progress& other) const {
    return block && other.block && *block == *other.block && floor_turn == other.floor_turn;
  }
};

/// Examines until a look was not disturbed by a writer.
template <class Examine>
std::expected<std::vector<StoreError>, StoreError> examine_at_rest(const std::string& directory,
                                                                   const Examine& examine) {
  Progress earlier{.block = std::unexpected(StoreError{}), .floor_turn = 0};
  for (int tries = 1;; ++tries) {
    Progress now = Progress::of(directory);
    if (!now.block) {
      if (now.block.error().code != StoreErrorCode::Damaged) return std::unexpected(now.block.error());
      return std::vector<StoreError>{now.block.error()};
    }
    std::vector<StoreError> findings;
    for (Finding& finding : examine(*now.block)) findings.push_back(std::move(finding.error));
    if (findings.empty() || tries == kTries) return findings;
    // Nobody writes to a closed store; of another one the same is to be seen twice.
    const bool at_rest = Progress::of(directory) == now && (now.block->clean || earlier == now);
    if (at_rest) return findings;
    earlier = std::move(now);
  }
}

}  // namespace

std::vector<Finding> examine_store(const std::string& directory, const Superblock& block) {
  return Examination(directory, block).run();
}

std::expected<std::vector<StoreError>, StoreError> verify_rocksdb_store(const std::string& directory) {
  return examine_at_rest(directory,
                         [&directory](const Superblock& block) { return examine_store(directory, block); });
}

std::expected<std::vector<StoreError>, StoreError> verify_borrowed_store(const JournalDb& journal,
                                                                         const std::string& directory) {
  return examine_at_rest(directory,
                         [&](const Superblock& block) { return Examination(directory, block).run(journal); });
}

}  // namespace leat
