// The store in memory: the same contract as on disk, without a disk.
#include <algorithm>
#include <atomic>
#include <utility>

#include "check.h"
#include "checkpoint_round.h"
#include "checkpoint_slice.h"
#include "commit.h"
#include "leat/state_store.h"
#include "leat_locks/mutex.h"
#include "waiting_rows.h"

namespace leat {

MemoryMedium::MemoryMedium() : mutex(std::make_shared<Mutex>()) {}

std::shared_ptr<MemoryMedium> MemoryMedium::after_kill() const {
  const MutexLock lock(*mutex);
  auto left = std::make_shared<MemoryMedium>(*this);
  left->open = false;
  return left;
}

void MemoryMedium::Waiting::apply(const WaitingChange& change, std::span<const std::byte> row) {
  using Kind = WaitingChange::Kind;
  WaitingBounds& line = lines[change.line];
  line.line = change.line;
  if (change.kind == Kind::Put) {
    rows[{change.line, change.place}].assign(row.begin(), row.end());
    line.end = change.place + 1;
    return;
  }
  line.begin = change.begin;
  line.end = change.end;
  line.holes = change.holes;
  const std::uint64_t end = change.kind == Kind::TakeFront ? change.begin : change.place + 1;
  rows.erase(rows.lower_bound({change.line, change.place}), rows.lower_bound({change.line, end}));
}

void MemoryMedium::cut_power() {
  commits.resize(synced);
  clean = false;
  open = false;
  for (const auto& lines : board) std::ranges::for_each(*lines, &BoardLine::clear);
}

namespace {

class MemoryBoard final : public InFlightBoard {
 public:
  explicit MemoryBoard(MemoryMedium& medium) : medium_(medium) {
    std::vector<BoardLine*> said;
    for (const auto& lines : medium.board) {
      for (BoardLine& line : *lines) {
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
    const MutexLock lock(*medium_.mutex);
    return std::span(*medium_.board.emplace_back(std::make_shared<std::vector<BoardLine>>(count)));
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
    if (!medium_->commits.empty()) {
      journal_end_ = medium_->commits.back().end_sequence;
      journal_hash_ = hash_of_commit(medium_->commits.back().bytes);
    }
    medium_->synced = medium_->commits.size();
    board_ = std::make_unique<MemoryBoard>(*medium_);
    std::string marks = medium_->marks;
    waiting_ = medium_->waiting;
    for (const MemoryMedium::Commit& commit : medium_->commits) {
      if (!commit.marks.empty()) marks = commit.marks;
      for (const auto& [change, row] : commit.waiting) waiting_.apply(change, row);
      next_generation_ = std::max(next_generation_, commit.generation + 1);
    }
    if (!marks.empty()) marks_ = *CheckpointMarks::decode(std::as_bytes(std::span(marks)));
    next_generation_ = std::max(next_generation_, marks_.newest().generation + 1);
    journal_bytes_ = marks_.newest().journal_bytes;
    // relaxed: nobody else knows the store yet
    events_begin_.store(marks_.oldest().minimum, std::memory_order_relaxed);
  }

  ~MemoryStore() override {
    if (is_open()) medium_->open = false;
  }

  std::uint64_t epoch() const noexcept override { return epoch_; }
  std::uint64_t next_sequence() const noexcept override { return next_sequence_; }
  std::uint64_t journal_end() const noexcept override { return journal_end_; }
  std::uint64_t journal_hash() const noexcept override { return journal_hash_; }
  bool closed_cleanly() const noexcept override { return closed_cleanly_; }
  InFlightBoard* board() noexcept override { return board_.get(); }

  bool keeps_checkpoints() const noexcept override { return true; }
  CheckpointMarks checkpoints() const override { return marks_; }
  std::uint64_t next_generation() const noexcept override { return next_generation_; }
  void retain_events(const Retention& events) override { events_ = events; }
  std::uint64_t events_begin() const noexcept override {
    return events_begin_.load(std::memory_order_relaxed);  // relaxed: any recent value
  }

  std::expected<void, StoreError> replay_rows(std::uint64_t generation, const Visitor& visit) override {
    if (!is_open()) return closed();
    for (const MemoryMedium::Commit& commit : medium_->commits) {
      if (commit.slice.empty() || commit.generation != generation) continue;
      if (auto done = visit(commit.first_sequence, commit.slice); !done) return done;
    }
    return {};
  }

  bool keeps_waiting() const noexcept override { return true; }

  std::expected<std::vector<WaitingBounds>, StoreError> waiting_lines() override {
    if (!is_open()) return closed();
    const MutexLock lock(*medium_->mutex);
    std::vector<WaitingBounds> lines;
    for (const auto& [line, bounds] : waiting_.lines) lines.push_back(bounds);
    return lines;
  }

  std::expected<void, StoreError> replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                 const WaitingVisitor& visit) override {
    if (!is_open()) return closed();
    const MutexLock lock(*medium_->mutex);
    for (auto at = waiting_.rows.lower_bound({line, from});
         at != waiting_.rows.end() && at->first.first == line; ++at) {
      const auto row = check_waiting(at->first.second, at->second);
      if (!row) return std::unexpected(row.error());
      const auto more = visit(at->first.second, *row);
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
    }
    return {};
  }

  std::expected<void, StoreError> replay(const Visitor& visit) override {
    if (!is_open()) return closed();
    for (const MemoryMedium::Commit& commit : medium_->commits) {
      if (commit.end_sequence <= marks_.oldest().minimum) continue;  // dropped, and not yet tidied up
      if (auto done = visit(commit.first_sequence, commit.bytes); !done) return done;
    }
    return {};
  }

  std::expected<void, StoreError> append(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                         std::span<const std::byte> commit) override {
    return append_rows(first_sequence, end_sequence, commit, {});
  }

  std::expected<void, StoreError> append_rows(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    if (!is_open()) return closed();
    LEAT_CHECK(first_sequence >= medium_->used_below && end_sequence > first_sequence);
    std::map<ContextPlace, std::string> contexts;
    for (const ContextApart& context : rows.contexts) {
      journal_bytes_ += context.text.size();
      contexts.emplace(context.place, context.text);
    }
    journal_bytes_ += commit.size();
    const MutexLock lock(*medium_->mutex);
    if (auto completed = round_.add(rows, end_sequence, hash_of_commit(commit), journal_bytes_)) {
      marks_.complete(*completed, events_);
      // relaxed: any recent value
      events_begin_.store(marks_.oldest().minimum, std::memory_order_relaxed);
    }
    medium_->commits.push_back({first_sequence,
                                end_sequence,
                                {commit.begin(), commit.end()},
                                {rows.slice.begin(), rows.slice.end()},
                                rows.generation,
                                rows.ended ? marks_.encode() : std::string(),
                                std::move(contexts)});
    for (const WaitingChange& change : rows.waiting) {
      waiting_.apply(change, change.row);
      auto& kept = medium_->commits.back().waiting.emplace_back(
          change, std::vector(change.row.begin(), change.row.end()));
      kept.first.row = {};
    }
    medium_->used_below = end_sequence;
    return {};
  }

  std::expected<std::string, StoreError> read_context(const ContextPlace& place) override {
    const MutexLock lock(*medium_->mutex);
    if (!is_open()) return closed();
    for (const MemoryMedium::Commit& commit : medium_->commits) {
      if (const auto found = commit.contexts.find(place); found != commit.contexts.end())
        return found->second;
    }
    const auto found = medium_->contexts.find(place);
    if (found == medium_->contexts.end()) return std::unexpected(missing_context(place));
    return found->second;
  }

  std::expected<std::optional<RememberedPipeline>, StoreError> find_pipeline(const Uuid& id) override {
    const MutexLock lock(*medium_->mutex);
    return StateStore::find_pipeline(id);
  }

  std::expected<bool, StoreError> tidy() override {
    if (!is_open()) return closed();
    const MutexLock lock(*medium_->mutex);
    std::vector<MemoryMedium::Commit>& commits = medium_->commits;
    std::size_t gone = 0;
    while (gone < medium_->synced && commits[gone].end_sequence <= marks_.oldest().minimum) ++gone;
    for (std::size_t index = 0; index < medium_->synced; ++index) {
      MemoryMedium::Commit& commit = commits[index];
      if (!commit.marks.empty()) medium_->marks = commit.marks;
      const auto kept = marks_.kept();
      const bool is_kept =
          std::ranges::find(kept, commit.generation, &CheckpointMark::generation) != kept.end();
      if (!is_kept && commit.generation < marks_.newest().generation) commit.slice.clear();
    }
    keep_contexts(std::span(commits).first(gone));
    for (std::size_t index = 0; index < gone; ++index) {
      for (const auto& [change, row] : commits[index].waiting) medium_->waiting.apply(change, row);
    }
    commits.erase(commits.begin(), commits.begin() + static_cast<std::ptrdiff_t>(gone));
    medium_->synced -= gone;
    return false;
  }

  std::expected<void, StoreError> acknowledge(std::uint64_t) override {
    if (!is_open()) return closed();
    return {};
  }

  std::expected<void, StoreError> sync() override {
    if (!is_open()) return closed();
    const MutexLock lock(*medium_->mutex);
    medium_->synced = medium_->commits.size();
    return {};
  }

  std::expected<void, StoreError> close() override {
    if (is_closed_) return {};
    if (auto done = sync(); !done) return done;
    const MutexLock lock(*medium_->mutex);
    is_closed_ = true;
    medium_->clean = true;
    medium_->open = false;
    return {};
  }

 private:
  /// Of commits that go, the contexts stay of what lives where the events begin from now on.
  void keep_contexts(std::span<MemoryMedium::Commit> gone) {
    for (MemoryMedium::Commit& commit : gone) medium_->contexts.merge(commit.contexts);
    if (medium_->contexts.empty()) return;
    std::vector<std::uint64_t> live;
    for (const MemoryMedium::Commit& commit : medium_->commits) {
      if (commit.slice.empty() || commit.generation != marks_.oldest().generation) continue;
      LEAT_CHECK(note_pipelines(commit.first_sequence, commit.slice, live));
    }
    std::ranges::sort(live);
    std::erase_if(medium_->contexts, [&live](const auto& context) {
      return !std::ranges::binary_search(live, context.first.pipeline_no);
    });
  }

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
  std::uint64_t journal_hash_ = 0;

  MemoryMedium::Waiting waiting_ LEAT_GUARDED_BY(*medium_->mutex);
  CheckpointMarks marks_;
  CheckpointRound round_ LEAT_GUARDED_BY(*medium_->mutex);
  Retention events_ = kRetainEvents;
  std::uint64_t next_generation_ = 1;
  std::uint64_t journal_bytes_ = 0;
  std::atomic<std::uint64_t> events_begin_{0};
};

}  // namespace

std::unique_ptr<StateStore> make_memory_store(std::shared_ptr<MemoryMedium> medium) {
  if (medium == nullptr) medium = std::make_shared<MemoryMedium>();
  return std::make_unique<MemoryStore>(std::move(medium));
}

}  // namespace leat
