#include "sim_store.h"

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
    return store().acknowledge(end_sequence);
  }

  std::expected<void, StoreError> sync() override {
    if (stage_.may_die_here("before a sync")) return dead();
    if (stage_.strikes(Faults::SlowSync, 500)) {
      stage_.clock->advance(std::int64_t{1 + stage_.choices.pick(3000)} * 1'000'000);
      stage_.note("a slow sync");
    }
    if (stage_.strikes(Faults::FailedSync, stage_.fault_per_10000)) {
      stage_.note("a sync fails");
      return refuse(StoreErrorCode::Io, "a sync failed");
    }
    if (auto done = store().sync(); !done) return done;
    stage_.note("synced");
    stage_.ledger.synced();
    if (stage_.may_die_here("after a sync")) return dead();
    return {};
  }

  std::expected<void, StoreError> close() override {
    if (!stage_.alive) return dead();
    if (auto done = store().close(); !done) return done;
    stage_.ledger.synced();
    return {};
  }

 private:
  Stage& stage_;
};

}  // namespace

std::unique_ptr<StateStore> make_sim_store(Stage& stage) {
  return std::make_unique<SimStore>(stage);
}

}  // namespace leat::sim
