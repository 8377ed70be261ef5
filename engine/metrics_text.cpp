#include "metrics_text.h"

#include <fmt/format.h>

#include <iterator>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace leat {
namespace {

/// One lane as it was at one moment.
struct Snapshot {
  std::string label;  // escaped
  std::string_view backend;
  ExecutorMetrics metrics;
  Histogram::Sum queue_wait, run_time;
};

std::string_view name_of(Backend backend) noexcept {
  switch (backend) {
    case Backend::Threads:
      return "threads";
    case Backend::Arena:
      return "arena";
    case Backend::Lent:
      return "lent";
  }
  return "";
}

double seconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

/// The length of the UTF-8 character that `text` begins with; 0: it begins with none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = byte(0) < 0x80   ? 1
                             : byte(0) < 0xc2 ? 0
                             : byte(0) < 0xe0 ? 2
                             : byte(0) < 0xf0 ? 3
                             : byte(0) < 0xf5 ? 4
                                              : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond Unicode.
  if (length > 2) {
    const unsigned two = byte(0) << 8U | byte(1);
    if ((two >= 0xe080 && two < 0xe0a0) || (two >= 0xeda0 && two < 0xee00) ||
        (two >= 0xf080 && two < 0xf090) || two >= 0xf490) {
      return 0;
    }
  }
  return length;
}

/// A label's value, which may hold anything but must be UTF-8: other bytes become \xNN.
std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      fmt::format_to(std::back_inserter(out), "\\\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (text[0] == '\n') {
      out += "\\n";
    } else if (text[0] == '\\' || text[0] == '"') {
      out += '\\';
      out += text[0];
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

class Writer {
 public:
  explicit Writer(std::span<const std::unique_ptr<Snapshot>> lanes) : lanes_(lanes) {}

  /// One number of each lane: value(metrics).
  template <class Value>
  void per_lane(std::string_view name, std::string_view type, std::string_view help, const Value& value) {
    head(name, type, help);
    for (const auto& lane : lanes_)
      line("{}{{executor=\"{}\"}} {}\n", name, lane->label, value(lane->metrics));
  }

  /// The threads of each lane, by whose they are.
  void threads(std::string_view name, std::string_view help) {
    head(name, "gauge", help);
    for (const auto& lane : lanes_) {
      line("{}{{executor=\"{}\",backend=\"{}\"}} {}\n", name, lane->label, lane->backend,
           lane->metrics.threads);
    }
  }

  /// Failed tasks of each lane by what failed: a closed set, that dashboards may rely on.
  void failures(std::string_view name, std::string_view help) {
    head(name, "counter", help);
    for (const auto& lane : lanes_) {
      const auto count = [&](TaskError::Class kind) {
        return lane->metrics.failed_by_class[static_cast<std::size_t>(kind)];
      };
      using enum TaskError::Class;
      const std::pair<std::string_view, std::uint64_t> counts[] = {
          {"timeout", count(Timeout)},
          {"task_error", count(Task) + count(Transient)},
          {"validation_failed", count(Validation)},
          {"infrastructure", count(Infrastructure)},
          {"task_not_found", count(TaskNotFound)},
          {"claim_lost", 0},  // no attempt is claimed by two
          {"unknown", count(Unknown)}};
      for (const auto& [kind, failed] : counts)
        line("{}{{executor=\"{}\",class=\"{}\"}} {}\n", name, lane->label, kind, failed);
    }
  }

  template <class Value>
  void single(std::string_view name, std::string_view type, std::string_view help, Value value) {
    head(name, type, help);
    line("{} {}\n", name, value);
  }

  /// Cumulative buckets, three for each power of ten. Counts come from buckets of 1 % width.
  void histogram(std::string_view name, std::string_view help, Histogram::Sum Snapshot::* member) {
    head(name, "histogram", help);
    for (const auto& lane : lanes_) {
      double sum_ns = 0;
      std::uint64_t below = 0;
      std::size_t bound = 0;
      const auto close_bucket = [&] {
        line("{}_bucket{{executor=\"{}\",le=\"{}\"}} {}\n", name, lane->label, seconds(kBoundsNs[bound++]),
             below);
      };
      ((*lane).*member).each([&](std::uint64_t value_ns, std::uint64_t count) {
        while (bound < std::size(kBoundsNs) && value_ns > kBoundsNs[bound]) close_bucket();
        sum_ns += static_cast<double>(value_ns) * static_cast<double>(count);
        below += count;
      });
      while (bound < std::size(kBoundsNs)) close_bucket();
      line("{}_bucket{{executor=\"{}\",le=\"+Inf\"}} {}\n", name, lane->label, below);
      line("{}_sum{{executor=\"{}\"}} {}\n", name, lane->label, sum_ns / 1e9);
      line("{}_count{{executor=\"{}\"}} {}\n", name, lane->label, below);
    }
  }

  std::string take() { return std::move(text_); }

 private:
  static constexpr std::uint64_t kBoundsNs[] = {100,
                                                250,
                                                500,
                                                1'000,
                                                2'500,
                                                5'000,
                                                10'000,
                                                25'000,
                                                50'000,
                                                100'000,
                                                250'000,
                                                500'000,
                                                1'000'000,
                                                2'500'000,
                                                5'000'000,
                                                10'000'000,
                                                25'000'000,
                                                50'000'000,
                                                100'000'000,
                                                250'000'000,
                                                500'000'000,
                                                1'000'000'000,
                                                2'500'000'000,
                                                5'000'000'000,
                                                10'000'000'000,
                                                25'000'000'000,
                                                50'000'000'000,
                                                100'000'000'000,
                                                250'000'000'000,
                                                500'000'000'000,
                                                1'000'000'000'000};

  void head(std::string_view name, std::string_view type, std::string_view help) {
    line("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }

  template <class... Args>
  void line(fmt::format_string<const Args&...> format, const Args&... args) {
    fmt::format_to(std::back_inserter(text_), format, args...);
  }

  std::span<const std::unique_ptr<Snapshot>> lanes_;
  std::string text_;
};

void write_lanes(Writer& out) {
  using M = const ExecutorMetrics&;
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    out.per_lane(name, "gauge", help, value);
  };
  const auto counter = [&](std::string_view name, std::string_view help, auto value) {
    out.per_lane(name, "counter", help, value);
  };
  gauge("leat_executor_active_tasks", "Attempts that run now.", [](M m) { return m.active_tasks; });
  gauge("leat_executor_deferred_tasks", "Attempts that have given slot and permit back while they wait.",
        [](M m) { return m.deferred_tasks; });
  gauge("leat_executor_queued_tasks", "Tasks admitted and not yet begun.",
        [](M m) { return m.queued_tasks; });
  gauge("leat_executor_parked_tasks", "Ready tasks that wait for a slot.",
        [](M m) { return m.parked_tasks; });
  gauge("leat_executor_completing_tasks", "Tasks that have ended and whose end is not yet in the store.",
        [](M m) { return m.completing_tasks; });
  gauge("leat_executor_max_concurrent_tasks", "Attempts that may run at once.",
        [](M m) { return m.max_concurrent; });
  gauge("leat_executor_capacity_tasks", "Tasks that may be admitted at once, running ones included.",
        [](M m) { return m.max_concurrent + m.max_queued; });
  out.threads("leat_executor_threads", "Threads that serve the executor, at most.");
  gauge("leat_executor_arena_refused",
        "1 where own threads serve what asked for an arena, since oneTBB has too few.",
        [](M m) { return m.arenas_refused; });
  counter("leat_executor_executed_total", "Attempts that ended.", [](M m) { return m.total_executed; });
  out.failures("leat_executor_failed_total", "Tasks that ended Failed, by the class of the last error.");
  counter("leat_executor_retried_total", "Attempts that led to another.",
          [](M m) { return m.total_retried; });
  counter("leat_executor_rejected_total", "Dispatches refused for want of a slot.",
          [](M m) { return m.total_rejected; });
  counter("leat_executor_late_total", "Completions that came too late and were dropped.",
          [](M m) { return m.total_late; });
  counter("leat_executor_dropped_total", "Tasks that were cancelled, or ran out of time, before they began.",
          [](M m) { return m.total_dropped; });
  gauge("leat_executor_stuck_tasks", "Attempts past their time that do not heed the wish to stop.",
        [](M m) { return m.stuck_tasks; });
  gauge("leat_executor_oldest_ready_seconds", "For how long at least the oldest waiting task has waited.",
        [](M m) { return seconds(m.oldest_ready_ns); });
  gauge("leat_executor_oldest_running_seconds", "For how long the longest attempt has run.",
        [](M m) { return seconds(m.oldest_running_ns); });
  gauge("leat_executor_stalled", "1 where tasks could begin and none does.",
        [](M m) { return m.stalled_lanes; });
  out.histogram("leat_executor_queue_wait_seconds", "From admission to start.", &Snapshot::queue_wait);
  out.histogram("leat_executor_run_time_seconds", "From start to end of an attempt.", &Snapshot::run_time);
}

void write_journal(Writer& out, const Journal& journal) {
  const Journal::Counters counts = journal.counters();
  const auto per_task = [&](std::uint64_t count) {
    return counts.ends == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(counts.ends);
  };
  out.single("leat_journal_healthy", "gauge", "0 once the store has failed.",
             journal.failure() == nullptr ? 1 : 0);
  out.single("leat_journal_groups_total", "counter", "Transition groups written.", counts.groups);
  out.single("leat_journal_transitions_total", "counter", "State changes written.", counts.transitions);
  out.single("leat_journal_commits_total", "counter", "Group commits written.", counts.commits);
  out.single("leat_journal_syncs_total", "counter", "Times the device was told to sync.", counts.syncs);
  out.single("leat_journal_sync_seconds_total", "counter", "Time spent waiting for the device to sync.",
             seconds(counts.sync_ns));
  out.single("leat_journal_written_bytes_total", "counter", "Bytes of group commits written.", counts.bytes);
  out.single("leat_journal_stalls_total", "counter",
             "Times the committer waited for a group being published.", counts.stalls);
  out.single("leat_journal_syncs_per_task", "gauge", "Syncs for each end of an attempt, since the start.",
             per_task(counts.syncs));
  out.single("leat_journal_bytes_per_task", "gauge", "Bytes for each end of an attempt, since the start.",
             per_task(counts.bytes));
}

}  // namespace

std::string metrics_text(std::span<Lane* const> lanes, const PipelineFigures& pipelines, std::size_t timers,
                         const Journal* journal) {
  std::vector<std::unique_ptr<Snapshot>> snapshots;
  for (const Lane* const lane : lanes) {
    auto& snapshot = *snapshots.emplace_back(std::make_unique<Snapshot>());
    snapshot.label = escaped(lane->key());
    snapshot.backend = name_of(lane->backend());
    lane->add_metrics(snapshot.metrics, snapshot.queue_wait, snapshot.run_time);
  }
  Writer out(snapshots);
  write_lanes(out);
  out.single("leat_pipelines_resident", "gauge", "Unfinished pipelines in memory.", pipelines.resident);
  out.single("leat_pipelines_resident_bytes", "gauge",
             "What they take while they wait, counted where there is a memory budget.",
             pipelines.resident_bytes);
  out.single("leat_pipelines_in_store", "gauge", "Pipelines that wait in the store alone.",
             pipelines.waiting);
  out.single("leat_timers", "gauge", "Retries and time limits that are scheduled.", timers);
  if (journal != nullptr) write_journal(out, *journal);
  return out.take();
}

}  // namespace leat
