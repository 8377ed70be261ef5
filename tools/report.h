// What `leat run` and `leat resume` print at the end: how the pipelines
// ended, and what each executor key did.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "leat/metrics.h"
#include "leat/runner.h"

namespace leat::tools {

struct PipelineReport {
  std::string id;
  std::string workflow;  ///< "tenant::package::workflow"
  std::uint64_t tasks = 0;
  PipelineResult result;
};

struct RunReport {
  std::vector<PipelineReport> pipelines;
  std::chrono::nanoseconds duration{0};  ///< from the first submission to the last pipeline's end
  std::map<std::string, ExecutorMetrics> executors;

  std::uint64_t count(PipelineState state) const noexcept;
  /// Adds what another Runner did. Of two latency summaries of one key the slower figures stay.
  void add(RunReport&& other);
};

/// One JSON object on standard output.
void print_json(const RunReport& report);
/// A table of the executor keys and one of the pipelines on standard output.
void print_tables(const RunReport& report);

}  // namespace leat::tools
