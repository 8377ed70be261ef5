#include "sim_store.h"

#include <utility>

namespace leat::sim {
namespace {

std::unexpected<StoreError> refuse(StoreErrorCode code, const char* message) {
  return std::unexpected(StoreError{code, message});
}
std::unexpected<StoreError> dead() {
  return refuse(StoreErrorCode::Closed, "the process is dead");
}

class SimStore final : public StateStore {
 public:
  explicit SimStore(Stage& stage) : stage_(stage), store_(make_memory_store(stage.medium)) {
    stage_.ledger.synced();  // opening has made durable what is there
  }

  std::uint64_t epoch() const noexcept override { return store_->epoch(); }
  std::uint64_t next_sequence() const noexcept override { return store_->next_sequence(); }
  std::uint64_t journal_end() const noexcept override { return store_->journal_end(); }
  bool closed_cleanly() const noexcept override { return store_->closed_cleanly(); }
  InFlightBoard* board() noexcept override { return store_->board(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return store_->replay(visit); }

  std::expected<void, StoreError> append(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                         std::span<const std::byte> commit) override {
    if (stage_.may_die_here("before a write")) return dead();
    if (stage_.strikes(Faults::DiskFull, stage_.fault_per_10000)) {
      stage_.note("a write is refused: the disk is full");
      return refuse(StoreErrorCode::DiskFull, "the disk is full");
    }
    if (auto done = store_->append(first_sequence, end_sequence, commit); !done) return done;
    stage_.note("written below", end_sequence);
    stage_.ledger.appended(first_sequence, commit);
    if (stage_.strikes(Faults::LostReport, stage_.fault_per_10000)) {
      stage_.note("a write is done and reported as failed");
      return refuse(StoreErrorCode::Io, "a write was reported as failed");
    }
    if (stage_.may_die_here("after a write")) return dead();
    return {};
  }

  std::expected<void, StoreError> acknowledge(std::uint64_t end_sequence) override {
    if (stage_.may_die_here("before an acknowledgement")) return dead();
    return store_->acknowledge(end_sequence);
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
    if (auto done = store_->sync(); !done) return done;
    stage_.note("synced");
    stage_.ledger.synced();
    if (stage_.may_die_here("after a sync")) return dead();
    return {};
  }

  std::expected<void, StoreError> close() override {
    if (!stage_.alive) return dead();
    if (auto done = store_->close(); !done) return done;
    stage_.ledger.synced();
    return {};
  }

 private:
  Stage& stage_;
  const std::unique_ptr<StateStore> store_;
};

}  // namespace

std::unique_ptr<StateStore> make_sim_store(Stage& stage) {
  return std::make_unique<SimStore>(stage);
}

}  // namespace leat::sim
