#include "sim_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "commit.h"
#include "journal_walk.h"
#include "leat/wrapped_store.h"

namespace leat::sim {
namespace {

std::unexpected<StoreError> refuse(StoreErrorCode code, const char* message) {
  return std::unexpected(StoreError{code, message});
}
std::unexpected<StoreError> dead() {
  return refuse(StoreErrorCode::Closed, "the process is dead");
}

class SimStore final : public WrappedStore {
 public:
  explicit SimStore(Stage& stage) : WrappedStore(make_memory_store(stage.medium)), stage_(stage) {
    stage_.ledger.synced();  // opening has made durable what is there
  }

  std::expected<void, StoreError> append_rows(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    if (stage_.may_die_here("before a write")) return dead();
    if (stage_.strikes(Faults::DiskFull, stage_.fault_per_10000)) {
      stage_.note("a write is refused: the disk is full");
      return refuse(StoreErrorCode::DiskFull, "the disk is full");
    }
    if (auto done = store().append_rows(first_sequence, end_sequence, commit, rows); !done) return done;
    written_ = end_sequence;
    hash_ = hash_of_commit(commit);
    if (rows.ended) stage_.note("a round of the checkpoint is complete", rows.generation);
    stage_.note("written below", end_sequence);
    stage_.ledger.appended(first_sequence, commit, stage_.clock->latest_unix_ns(), stage_.clock->steady_ns());
    if (stage_.strikes(Faults::LostReport, stage_.fault_per_10000)) {
      stage_.note("a write is done and reported as failed");
      return refuse(StoreErrorCode::Io, "a write was reported as failed");
    }
    if (stage_.may_die_here("after a write")) return dead();
    return {};
  }

  std::expected<void, StoreError> acknowledge(std::uint64_t end_sequence) override {
    if (stage_.may_die_here("before an acknowledgement")) return dead();
    if (goes_wrong(Faults::FailedCall, "an acknowledgement")) return refused();
    if (auto done = store().acknowledge(end_sequence); !done) return done;
    stage_.floor.written = end_sequence;
    stage_.floor.written_hash = end_sequence == written_ ? hash_ : 0;
    return {};
  }

  std::expected<void, StoreError> sync() override {
    if (stage_.may_die_here("before a sync")) return dead();
    if (stage_.strikes(Faults::SlowSync, 500)) {
      stage_.clock->advance(std::int64_t{1 + stage_.choices.pick(3000)} * 1'000'000);
      stage_.note("a slow sync");
      if (stage_.meanwhile) stage_.meanwhile();
      if (!stage_.alive) return dead();
    }
    if (stage_.strikes(Faults::FailedSync, stage_.fault_per_10000)) {
      stage_.note("a sync fails");
      return refuse(StoreErrorCode::Io, "a sync failed");
    }
    if (auto done = store().sync(); !done) return done;
    stage_.note("synced");
    stage_.ledger.synced();
    stage_.floor.synced = stage_.floor.written = written_;
    stage_.floor.synced_hash = stage_.floor.written_hash = hash_;
    if (stage_.may_die_here("after a sync")) return dead();
    return {};
  }

  std::expected<void, StoreError> close() override {
    if (!stage_.alive) return dead();
    if (goes_wrong(Faults::FailedCall, "a close")) return refused();
    if (auto done = store().close(); !done) return done;
    stage_.ledger.synced();
    stage_.superblock.journal_end = written_;
    stage_.superblock.journal_hash = hash_;
    return {};
  }

  std::expected<bool, StoreError> tidy() override {
    if (goes_wrong(Faults::FailedCall, "a tidying up")) return refused();
    return store().tidy();
  }

  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    if (read_goes_wrong("the journal")) return refused();
    return store().replay_from(sequence, visit);
  }
  std::expected<void, StoreError> replay_rows(std::uint64_t generation, const Visitor& visit) override {
    if (read_goes_wrong("the checkpoint")) return refused();
    return store().replay_rows(generation, visit);
  }
  std::expected<std::string, StoreError> read_context(const ContextPlace& place) override {
    if (read_goes_wrong("a context")) return refused();
    return store().read_context(place);
  }
  std::expected<std::vector<WaitingBounds>, StoreError> waiting_lines() override {
    if (read_goes_wrong("the lines of who waits")) return refused();
    return store().waiting_lines();
  }
  std::expected<void, StoreError> replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                 const WaitingVisitor& visit) override {
    if (read_goes_wrong("who waits")) return refused();
    return store().replay_waiting(line, from, visit);
  }

 private:
  /// A call takes long, or fails before anything is done.
  bool goes_wrong(Faults fault, const char* what) {
    if (stage_.looks || !stage_.alive || !stage_.may_crash()) return false;
    if (stage_.strikes(fault, stage_.fault_per_10000)) {
      stage_.clock->advance(std::int64_t{1 + stage_.choices.pick(3000)} * 1'000'000);
      stage_.note_with("slow", 0, [&] { return fmt::format("{} takes long", what); });
    }
    if (!stage_.strikes(fault, stage_.fault_per_10000)) return false;
    stage_.note_with("refused", 0, [&] { return fmt::format("{} fails", what); });
    return true;
  }
  bool read_goes_wrong(const char* what) { return goes_wrong(Faults::FailedRead, what); }
  static std::unexpected<StoreError> refused() { return refuse(StoreErrorCode::Io, kRefusal); }

  Stage& stage_;
  std::uint64_t written_ = stage_.superblock.journal_end;
  std::uint64_t hash_ = stage_.superblock.journal_hash;  // of what is written
};

/// As recovery_mode() and RocksdbStateStore::begin().
std::expected<void, StoreError> judge(Stage& stage) {
  Superblock& block = stage.superblock;
  std::vector<MemoryMedium::Commit>& commits = stage.medium->commits;
  Promise promise = {.end_min = block.journal_end, .end_max = block.journal_end};
  if (!block.clean) promise = Promise::of(block, stage.floor, stage.boot);
  JournalWalk walk(0, JournalEnd::of(block), promise.last);
  std::size_t whole = 0;
  for (; whole < commits.size(); ++whole) {
    const MemoryMedium::Commit& commit = commits[whole];
    if (!CommitReader::open(commit.first_sequence, commit.bytes))
      break;  // a log is read up to what is no record
    if (auto stepped = walk.step(commit.first_sequence, commit.bytes); !stepped) return stepped;
  }
  for (const MemoryMedium::Commit& behind : std::span(commits).subspan(whole))
    promise.end_min = std::max(promise.end_min, claim_of(behind.first_sequence, behind.bytes));
  const JournalEnd end = walk.end();
  if (auto kept = check_promise("the simulated store", promise, end.sequence); !kept) return kept;
  if (whole < commits.size()) stage.note("the torn end goes", commits.size() - whole);
  commits.resize(whole);
  block.clean = false;
  block.journal_end = end.sequence;
  block.journal_hash = end.hash;
  block.reserved_end = ~std::uint64_t{0};
  stage.floor = {.synced = end.sequence,
                 .written = end.sequence,
                 .boot = stage.boot,
                 .synced_hash = end.hash,
                 .written_hash = end.hash};
  return {};
}

}  // namespace

std::expected<std::unique_ptr<StateStore>, StoreError> open_sim_store(Stage& stage) {
  if (auto judged = judge(stage); !judged) return std::unexpected(std::move(judged.error()));
  return std::make_unique<SimStore>(stage);
}

}  // namespace leat::sim
