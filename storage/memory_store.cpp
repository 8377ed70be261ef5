// The store in memory: the same contract as on disk, without a disk.
#include <algorithm>
#include <utility>

#include "check.h"
#include "leat/state_store.h"

namespace leat {

void MemoryMedium::cut_power() {
  commits.resize(synced);
  clean = false;
  open = false;
  for (std::vector<BoardLine>& lines : board) std::ranges::for_each(lines, &BoardLine::clear);
}

namespace {

class MemoryBoard final : public InFlightBoard {
 public:
  explicit MemoryBoard(MemoryMedium& medium) : medium_(medium) {
    std::vector<BoardLine*> said;
    for (std::vector<BoardLine>& lines : medium.board) {
      for (BoardLine& line : lines) {
        if (!line.empty()) said.push_back(&line);
      }
    }
    left_behind_ = *claim(said.size());
    for (std::size_t i = 0; i < said.size(); ++i) {
      left_behind_[i].note_child(said[i]->child());
      left_behind_[i].begin(said[i]->task());
      said[i]->clear();
    }
  }

  std::span<BoardLine> left_behind() noexcept override { return left_behind_; }

  std::expected<std::span<BoardLine>, StoreError> claim(std::size_t count) override {
    return std::span(medium_.board.emplace_back(count));
  }

 private:
  MemoryMedium& medium_;
  std::span<BoardLine> left_behind_;
};

class MemoryStore final : public StateStore {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryMedium> medium)
      : medium_(std::move(medium)), closed_cleanly_(std::exchange(medium_->clean, false)) {
    LEAT_CHECK(!std::exchange(medium_->open, true));
    epoch_ = ++medium_->epoch;
    next_sequence_ = medium_->used_below;
    journal_end_ = medium_->commits.empty() ? next_sequence_ : medium_->commits.back().end_sequence;
    medium_->synced = medium_->commits.size();
    board_ = std::make_unique<MemoryBoard>(*medium_);
  }

  ~MemoryStore() override {
    if (is_open()) medium_->open = false;
  }

  std::uint64_t epoch() const noexcept override { return epoch_; }
  std::uint64_t next_sequence() const noexcept override { return next_sequence_; }
  std::uint64_t journal_end() const noexcept override { return journal_end_; }
  bool closed_cleanly() const noexcept override { return closed_cleanly_; }
  InFlightBoard* board() noexcept override { return board_.get(); }

  std::expected<void, StoreError> replay(const Visitor& visit) override {
    if (!is_open()) return closed();
    for (const MemoryMedium::Commit& commit : medium_->commits) {
      if (auto done = visit(commit.first_sequence, commit.bytes); !done) return done;
    }
    return {};
  }

  std::expected<void, StoreError> append(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                         std::span<const std::byte> commit) override {
    if (!is_open()) return closed();
    LEAT_CHECK(first_sequence >= medium_->used_below && end_sequence > first_sequence);
    medium_->commits.push_back({first_sequence, end_sequence, {commit.begin(), commit.end()}});
    medium_->used_below = end_sequence;
    return {};
  }

  std::expected<void, StoreError> acknowledge(std::uint64_t) override {
    if (!is_open()) return closed();
    return {};
  }

  std::expected<void, StoreError> sync() override {
    if (!is_open()) return closed();
    medium_->synced = medium_->commits.size();
    return {};
  }

  std::expected<void, StoreError> close() override {
    if (is_closed_) return {};
    if (auto done = sync(); !done) return done;
    is_closed_ = true;
    medium_->clean = true;
    medium_->open = false;
    return {};
  }

 private:
  static std::unexpected<StoreError> closed() {
    return std::unexpected(StoreError{StoreErrorCode::Closed, "the store is closed"});
  }

  /// A power cut of the medium ends the store as well.
  bool is_open() const { return !is_closed_ && medium_->open && medium_->epoch == epoch_; }

  std::shared_ptr<MemoryMedium> medium_;
  std::unique_ptr<MemoryBoard> board_;
  bool closed_cleanly_;
  bool is_closed_ = false;
  std::uint64_t epoch_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t journal_end_ = 1;
};

}  // namespace

std::unique_ptr<StateStore> make_memory_store(std::shared_ptr<MemoryMedium> medium) {
  if (medium == nullptr) medium = std::make_shared<MemoryMedium>();
  return std::make_unique<MemoryStore>(std::move(medium));
}

}  // namespace leat
