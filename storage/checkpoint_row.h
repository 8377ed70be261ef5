// Rows of the checkpoint off their bytes; make_row() of <leat/checkpoint.h> is the other way.
#pragma once

#include <cstdint>
#include <vector>

#include "leat/checkpoint.h"
#include "leat/store_image.h"
#include "record_parser.h"

namespace leat {

/// More of the pipeline whose row came before.
struct TasksKept {
  std::uint64_t pipeline_no = 0;
  std::uint32_t first = 0;
  std::vector<TaskImage> tasks;
};

// Each takes the fields behind the row's generation; whether they were right, the parser says.
RoundBegun parse_round_begun(RecordParser& in, std::uint64_t generation);
RoundEnded parse_round_ended(RecordParser& in, std::uint64_t generation);
PauseKept parse_pause_kept(RecordParser& in, std::uint64_t generation);
SubmissionKept parse_submission_kept(RecordParser& in, std::uint64_t generation);
QuarantineKept parse_quarantine_kept(RecordParser& in, std::uint64_t generation);
TasksKept parse_tasks_kept(RecordParser& in);
/// open_tasks and folded_to are the caller's.
PipelineImage parse_pipeline_kept(RecordParser& in);

}  // namespace leat
