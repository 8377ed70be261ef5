#include "inspect_events.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "exit_status.h"
#include "leat/store_reader.h"
#include "row_writer.h"

namespace leat::tools {
namespace {

constexpr std::array<Column, 12> kColumns = {{{"seq", true},
                                              {"time_ns", true},
                                              {"pipeline"},
                                              {"task"},
                                              {"attempt", true},
                                              {"from"},
                                              {"to"},
                                              {"executor"},
                                              {"reason"},
                                              {"worker", true},
                                              {"dispatched_ns", true},
                                              {"durable_ns", true}}};

/// Rows that wait for a later commit to say when theirs was synced; not for ever, where nobody asks for
/// syncs.
class EventRows {
 public:
  explicit EventRows(RowFormat format) : writer_(stdout, format, kColumns) {}

  void add(const TransitionEvent& event, bool is_shown) {
    while (!waiting_.empty() &&
           (waiting_.front().sequence < event.synced || waiting_.size() >= kWaitingMax)) {
      write_first(waiting_.front().sequence < event.synced ? event.synced_ns : 0);
    }
    if (is_shown) waiting_.push_back({event.sequence, cells_of(event)});
  }
  void finish() {
    while (!waiting_.empty()) write_first(0);
    writer_.finish();
  }

 private:
  static constexpr std::size_t kWaitingMax = 10'000;
  using Cells = std::array<std::string, kColumns.size()>;
  struct Row {
    std::uint64_t sequence;
    Cells cells;
  };

  static Cells cells_of(const TransitionEvent& event) {
    return {fmt::to_string(event.sequence),
            fmt::to_string(event.time_ns),
            event.pipeline->id.to_string(),
            event.workflow->name + "::" + event.workflow->tasks.at(event.task),
            fmt::to_string(event.attempt),
            event.from ? std::string(to_string(*event.from)) : std::string(),
            std::string(to_string(event.to)),
            std::string(event.executor),
            std::string(to_string(event.reason)),
            event.worker ? fmt::to_string(*event.worker) : std::string(),
            event.worker ? fmt::to_string(event.dispatched_ns) : std::string(),
            std::string()};
  }
  void write_first(std::int64_t durable_ns) {
    Cells& cells = waiting_.front().cells;
    if (durable_ns != 0) cells.back() = fmt::to_string(durable_ns);
    writer_.row(cells);
    waiting_.pop_front();
  }

  RowWriter writer_;
  std::deque<Row> waiting_;
};

}  // namespace

int inspect_events(const InspectOptions& options, const InspectFilter& filter) {
  EventRows rows(options.format);
  const auto image = read_rocksdb_store(options.store, [&](const TransitionEvent& event) {
    rows.add(event,
             filter.shows(event.pipeline->id) && filter.shows(event.to) && filter.shows_time(event.time_ns));
  });
  if (!image) return fail(opening_failure(image.error()));
  rows.finish();
  return kGood;
}

}  // namespace leat::tools
