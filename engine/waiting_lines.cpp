#include "waiting_lines.h"

#include <algorithm>
#include <chrono>

#include "check.h"
#include "pipeline.h"

namespace leat {
namespace {

// What of a line at most stands in memory between the store and its first task: some 500 small pipelines.
constexpr std::uint64_t kFrontBytesMax = 200'000;
constexpr std::chrono::nanoseconds kLater = std::chrono::milliseconds(5);
constexpr std::chrono::nanoseconds kUnreadable = std::chrono::seconds(10);
// Of timers.
constexpr std::uint64_t kDue = 0;
constexpr std::uint64_t kReadAgain = 1;

}  // namespace

/// Pipelines on their way from the store: released once that is committed. Deletes itself.
class WaitingLines::TakingIn final : public CommitListener {
 public:
  std::vector<Pipeline*> pipelines;

  void on_commit(std::uint64_t, std::uint64_t sequence, bool reached) noexcept override {
    for (Pipeline* const pipeline : pipelines) pipeline->is_taken_in(sequence, reached);
    delete this;
  }
};

WaitingLines::WaitingLines(Clock& clock, TimerQueue& timers, Journal* journal, WaitingHost& host,
                           const WaitingOptions& options)
    : clock_(clock),
      timers_(timers),
      journal_(journal),
      store_(options.store),
      host_(host),
      budget_(options.budget == 0 ? ~std::uint64_t{0} : options.budget),
      warn_(options.warn),
      in_use_(options.budget != 0 && options.store != nullptr) {}

std::expected<void, StoreError> WaitingLines::remember() {
  auto lines = store_->waiting_lines();
  if (!lines) return std::unexpected(std::move(lines.error()));
  const MutexLock lock(mutex_);
  for (const WaitingBounds& bounds : *lines) {
    static_cast<WaitingBounds&>(lines_[bounds.line]) = bounds;
    in_use_ = true;
  }
  return {};
}

void WaitingLines::open(const Registered& workflow) {
  if (!in_use_) return;
  const MutexLock lock(mutex_);
  const WaitingLine first{.workflow_no = workflow->workflow_no};
  for (auto at = lines_.lower_bound(first);
       at != lines_.end() && at->first.workflow_no == workflow->workflow_no; ++at) {
    Line& line = at->second;
    if (line.workflow != nullptr) continue;
    line.workflow = workflow;
    waiting_.fetch_add(line.count(), std::memory_order_relaxed);  // relaxed: counted down by who takes in
    lines_waiting_ += line.waits();
    look(line);
  }
}

WaitingLines::Line& WaitingLines::line_of(const WaitingLine& key) {
  const auto [line, is_new] = lines_.try_emplace(key);
  if (is_new) line->second.line = key;  // stays: whoever reads rows looks at it without the mutex
  return line->second;
}

bool WaitingLines::set_aside(Pipeline& pipeline, const WaitingLine& key, const PipelineTraits& traits) {
  const MutexLock lock(mutex_);
  if (closed_) return false;
  const auto known = lines_.find(key);
  const bool behind = known != lines_.end() && known->second.waits();
  // The fronts have the rest.
  if (!behind && resident_bytes() + pipeline.bytes() <= budget_ - budget_ / 4) return false;
  Line& line = line_of(key);
  if (line.workflow == nullptr && !behind) line.workflow = pipeline.registered();
  const std::uint64_t place = line.end++;
  if (line.workflow != nullptr) {
    waiting_.fetch_add(1, std::memory_order_relaxed);  // relaxed: as above
    lines_waiting_ += place == line.begin;
  }
  line.unwritten.insert(place);
  unwritten_.emplace(pipeline.number(), std::pair(&line, place));
  out_->add(pipeline, {key, place});
  pipeline.set_aside(key, place, traits);
  return true;
}

void WaitingLines::is_aside(const Pipeline& pipeline) noexcept {
  const MutexLock lock(mutex_);
  const auto found = unwritten_.find(pipeline.number());
  if (found == unwritten_.end()) return;
  const auto [line, place] = found->second;
  unwritten_.erase(found);
  line->unwritten.erase(place);
  look(*line);
}

/// Of each line. So that all fronts together take a quarter of the budget at most, or one pipeline a line.
std::uint64_t WaitingLines::front_bytes_max() const noexcept {
  return std::min(budget_ / 4 / std::max<std::size_t>(lines_waiting_, 1), kFrontBytesMax);
}

/// Has rows read where few of the line are left to begin.
void WaitingLines::look(Line& line) noexcept {
  if (closed_ || line.is_due || line.workflow == nullptr || line.begin >= line.committed()) return;
  if (line.front_bytes > front_bytes_max() / 2) return;
  line.is_due = true;
  due_.push_back(&line);
  wake(std::chrono::nanoseconds(0));
}

void WaitingLines::wake(std::chrono::nanoseconds delay) noexcept {
  if (is_awake_) return;
  is_awake_ = true;
  timers_.schedule(time_after(clock_.steady_ns(), delay), *this, kDue);
}

void WaitingLines::on_timer(std::uint64_t token) noexcept {
  std::deque<Line*> due;
  {
    const MutexLock lock(mutex_);
    if (token == kDue) is_awake_ = false;
    due.swap(token == kDue ? due_ : unreadable_);
  }
  if (!host_.accepting() || journal_->failure() != nullptr)
    return;  // nothing begins any more in this process
  while (!due.empty() && fetch(*due.front())) due.pop_front();
  if (due.empty()) return;
  const MutexLock lock(mutex_);
  due_.insert(due_.end(), due.begin(), due.end());
  if (!closed_) wake(kLater);
}

/// Has rows of a due line taken in. @return  false: nothing could be done now
bool WaitingLines::fetch(Line& line) {
  // A credit is not waited for here: other timers free some.
  if (!journal_->try_reserve(1)) return false;
  std::uint64_t next = 0;
  const auto rows = read(line, next);
  std::vector<Pipeline*> came;
  std::string wrong = rows ? "" : rows.error().message;
  {
    const MutexLock lock(mutex_);
    if (rows) wrong = missing(line, rows->size(), next);
    if (closed_ || !wrong.empty()) {
      journal_->release(1);
    } else {
      came = take_in_turn(line, *rows, next);
    }
  }
  if (!wrong.empty()) warn_("pipelines that wait in the store cannot be read, tried again in 10 s: " + wrong);
  for (Pipeline* const pipeline : came) pipeline->go_on();
  const MutexLock lock(mutex_);
  if (wrong.empty()) {
    line.is_due = false;
    look(line);
  } else {
    if (unreadable_.empty()) timers_.schedule(time_after(clock_.steady_ns(), kUnreadable), *this, kReadAgain);
    unreadable_.push_back(&line);
  }
  return true;
}

/// What is not there was taken out of turn, or is lost. @return  empty: nothing is lost
std::string WaitingLines::missing(const Line& line, std::size_t rows, std::uint64_t next) const {
  const std::uint64_t gone = next - line.begin - rows;
  return gone > line.holes ? std::to_string(gone - line.holes) + " are missing" : std::string();
}

/// The rows of a line that its front has room for, one at least. @param next  set to the place behind them
std::expected<std::vector<WaitingLines::Row>, StoreError> WaitingLines::read(const Line& line,
                                                                             std::uint64_t& next) const {
  std::uint64_t from = 0;
  std::uint64_t bytes = 0;  // of the front, with what is read
  std::uint64_t bytes_max = 0;
  Registered workflow;
  {
    const MutexLock lock(mutex_);
    workflow = line.workflow;
    from = line.begin;
    next = line.committed();
    bytes = line.front_bytes;
    bytes_max = front_bytes_max();
  }
  std::vector<Row> rows;
  const auto done = store_->replay_waiting(
      line.line, from,
      [&](std::uint64_t place, std::span<const std::byte> row) -> std::expected<bool, StoreError> {
        if (place >= next) return false;
        bytes += workflow == nullptr ? row.size() : Pipeline::bytes_of(*workflow, row.size());
        if (bytes > bytes_max && !rows.empty()) {
          next = place;
          return false;
        }
        rows.push_back({place, {reinterpret_cast<const char*>(row.data()), row.size()}});
        return true;
      });
  if (!done) return std::unexpected(done.error());
  return rows;
}

/// Uses up a credit. @param next  where the line begins from now on
std::vector<Pipeline*> WaitingLines::take_in_turn(Line& line, std::span<const Row> rows, std::uint64_t next) {
  auto* const taking = new TakingIn;  // deletes itself
  std::string packed;
  for (const Row& row : rows) {
    if (line.taken.contains(row.place)) continue;
    const auto bytes = std::as_bytes(std::span(row.bytes));
    append_waiting(packed, bytes);
    Pipeline* pipeline = nullptr;
    const bool read = decode_waiting(bytes, [&](std::int64_t created_ns, const PipelineCreated& created) {
      pipeline = out_->take(created.pipeline_no);
      if (pipeline == nullptr) pipeline = &host_.remake(line.workflow, created, created_ns);
    });
    LEAT_CHECK(read);  // its checksum was right
    front_.emplace(pipeline->number(), &line);
    line.front_bytes += pipeline->bytes();
    taking->pipelines.push_back(pipeline);
    host_.lives(*pipeline);
  }
  std::vector<Pipeline*> came = taking->pipelines;
  if (next == line.end) --lines_waiting_;
  publish_taken(line, packed, came.size(), next, taking);
  waiting_.fetch_sub(came.size(), std::memory_order_release);  // (1) they live: pairs with (2)
  return came;
}

/// Uses up a credit. @param next  where the line begins from now on
void WaitingLines::publish_taken(Line& line, std::string_view packed, std::size_t count, std::uint64_t next,
                                 CommitListener* listener) {
  const PipelinesTakenIn record{.line = line.line,
                                .place = line.begin,
                                .begin = next,
                                .end = line.end,
                                .holes = line.holes - (next - line.begin - count),
                                .rows = packed};
  line.begin = record.begin;
  line.holes = record.holes;
  line.taken.erase(line.taken.begin(), line.taken.lower_bound(next));
  journal_->publish({clock_.unix_ns(), record}, Durability::Process, listener, 0);
}

std::expected<std::vector<std::string>, StoreError> WaitingLines::take_out(std::uint32_t workflow_no) {
  Line* line = nullptr;
  {
    const MutexLock lock(mutex_);
    for (auto at = lines_.lower_bound({.workflow_no = workflow_no});
         line == nullptr && at != lines_.end() && at->first.workflow_no == workflow_no; ++at) {
      if (at->second.workflow == nullptr && at->second.count() > 0 && !at->second.is_due) line = &at->second;
    }
    if (line == nullptr || closed_) return {};
    line->is_due = true;  // nobody else reads it
  }
  std::uint64_t next = 0;
  const auto rows = read(*line, next);
  const MutexLock lock(mutex_);
  line->is_due = false;
  if (!rows) return std::unexpected(rows.error());
  if (const std::string wrong = missing(*line, rows->size(), next); !wrong.empty())
    return std::unexpected(StoreError{StoreErrorCode::Damaged, "pipelines that wait in the store: " + wrong});
  if (rows->empty()) return {};
  std::string packed;
  std::vector<std::string> taken;
  for (const Row& row : *rows) {
    append_waiting(packed, std::as_bytes(std::span(row.bytes)));
    taken.push_back(row.bytes);
  }
  publish_taken(*line, packed, taken.size(), next, nullptr);
  // Registered meanwhile.
  if (line->workflow != nullptr) {
    waiting_.fetch_sub(taken.size(), std::memory_order_release);  // (1) as above
    lines_waiting_ -= !line->waits();
    look(*line);
  }
  return taken;
}

bool WaitingLines::bring_in(Pipeline& pipeline) {
  if (!pipeline.is_out()) return true;
  if (!journal_->reserve(1)) return false;
  {
    const MutexLock lock(mutex_);
    const auto out = out_->place_of(pipeline);
    if (closed_ || !out) {
      journal_->release(1);
      return !closed_;
    }
    out_->take(pipeline.number());  // its handle is here
    Line& line = lines_.at(out->line);
    ++line.holes;
    line.taken.insert(out->place);
    host_.lives(pipeline);
    std::string packed;
    const std::string row = pipeline.waiting_row();
    append_waiting(packed, std::as_bytes(std::span(row)));
    auto* const taking = new TakingIn;  // deletes itself
    taking->pipelines.push_back(&pipeline);
    // At the pipeline's level: the record that set it aside may not have reached it yet.
    journal_->publish({clock_.unix_ns(), PipelinesTakenIn{.line = line.line,
                                                          .in_turn = false,
                                                          .place = out->place,
                                                          .begin = line.begin,
                                                          .end = line.end,
                                                          .holes = line.holes,
                                                          .rows = packed}},
                      pipeline.level(), taking, 0);
    waiting_.fetch_sub(1, std::memory_order_release);  // (1) as above
  }
  pipeline.go_on();
  return true;
}

void WaitingLines::left_front(const Pipeline& pipeline) noexcept {
  const MutexLock lock(mutex_);
  const auto found = front_.find(pipeline.number());
  if (found == front_.end()) return;
  Line& line = *found->second;
  front_.erase(found);
  line.front_bytes -= pipeline.bytes();
  look(line);
}

std::optional<std::uint64_t> WaitingLines::place_of(const Pipeline& pipeline) const {
  const MutexLock lock(mutex_);
  const auto out = out_->place_of(pipeline);
  if (!out) return std::nullopt;
  return out->place - lines_.at(out->line).begin;
}

void WaitingLines::entered(std::size_t bytes) noexcept {
  resident_bytes_.fetch_add(bytes, std::memory_order_relaxed);  // relaxed: a figure
}

void WaitingLines::left(std::size_t bytes) noexcept {
  resident_bytes_.fetch_sub(bytes, std::memory_order_relaxed);  // relaxed: a figure
}

std::uint64_t WaitingLines::waiting() const noexcept {
  return waiting_.load(std::memory_order_acquire);  // (2) who sees none sees them live: pairs with (1)
}

std::uint64_t WaitingLines::resident_bytes() const noexcept {
  return resident_bytes_.load(std::memory_order_relaxed);  // relaxed: a figure
}

std::map<std::uint32_t, std::uint64_t> WaitingLines::unopened() const {
  const MutexLock lock(mutex_);
  std::map<std::uint32_t, std::uint64_t> counts;
  for (const auto& [key, line] : lines_) {
    if (line.workflow == nullptr && line.count() > 0) counts[key.workflow_no] += line.count();
  }
  return counts;
}

void WaitingLines::close() noexcept {
  const MutexLock lock(mutex_);
  closed_ = true;
  due_.clear();
}

}  // namespace leat
