// The image of a store: loads the rows of a checkpoint, and applies commits to them.
#include "leat/store_image.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>
#include <variant>

#include "checkpoint_slice.h"
#include "commit.h"
#include "leat/checkpoint.h"
#include "leat/waiting.h"
#include "store_fold.h"

namespace leat {
namespace {

std::uint32_t open_among(std::span<const TaskImage> tasks) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(tasks, [](const TaskImage& task) { return !is_terminal(task.state); }));
}

std::unexpected<StoreError> too_many_tasks(std::uint64_t slice) {
  return std::unexpected(
      StoreError{StoreErrorCode::Refused, "checkpoint slice " + std::to_string(slice) + " " + kTooManyTasks});
}

constexpr std::uint64_t kTaskBytesMin = 128;  // what carrying on with one takes, at least

/// What this machine has, or the container.
std::uint64_t memory_bytes() {
  std::uint64_t bytes = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L)) *
                        static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (std::FILE* const file = std::fopen("/sys/fs/cgroup/memory.max", "re")) {
    unsigned long long limit = 0;
    if (std::fscanf(file, "%llu", &limit) == 1 && limit > 0) bytes = std::min<std::uint64_t>(bytes, limit);
    std::fclose(file);
  }
  return bytes;
}

}  // namespace

bool is_overdue(const PipelineImage& pipeline) noexcept {
  const std::int64_t deadline_ns = pipeline.traits->deadline_ns;
  return pipeline.state == PipelineState::Failed && deadline_ns != 0 && pipeline.finished_ns >= deadline_ns;
}

void add(QuarantineImages& images, const Uuid& pipeline, std::uint32_t task, QuarantineImage image) {
  images.try_emplace({pipeline, task}, std::move(image));
  if (images.size() > kQuarantineMax) images.erase(images.begin());
}

StoreImage::StoreImage(Keep keep) : state_(std::make_unique<State>()) {
  static const std::uint64_t fit = memory_bytes() / kTaskBytesMin;
  state_->keep = keep;
  state_->tasks_max = fit;
}

void StoreImage::limit_tasks(std::uint64_t tasks_max) noexcept {
  state_->tasks_max = tasks_max;
}

StoreImage::StoreImage(StoreImage&&) noexcept = default;
StoreImage& StoreImage::operator=(StoreImage&&) noexcept = default;
StoreImage::~StoreImage() = default;

void StoreImage::begin_at(const CheckpointMark& mark) {
  state_->end_sequence = mark.minimum;
  state_->round_end = mark.end;
  state_->round_hash = mark.hash;
}

void StoreImage::on_finish(std::function<void(const PipelineImage&)> told) {
  state_->on_finish = std::move(told);
}

void StoreImage::prefer_events() noexcept {
  state_->prefers_events = true;
}

std::expected<void, StoreError> StoreImage::load(std::uint64_t first_sequence,
                                                 std::span<const std::byte> slice) {
  State& state = *state_;
  auto reader = CheckpointSliceReader::open(first_sequence, slice);
  if (!reader) return std::unexpected(std::move(reader.error()));
  for (;;) {
    const auto row = reader->next();
    if (!row) return std::unexpected(row.error());
    if (*row == nullptr) return {};
    if (const auto* begun = std::get_if<RoundBegun>(*row)) {
      state.next_pipeline_no = begun->next_pipeline_no;
      state.next_workflow_no = begun->next_workflow_no;
      state.next_key_no = begun->next_key_no;
    } else if (const auto* kept = std::get_if<WorkflowKept>(*row)) {
      const WorkflowDefined& record = kept->workflow;
      state.workflows.insert_or_assign(record.workflow_no,
                                       WorkflowImage{.name = std::string(record.name),
                                                     .version = record.version,
                                                     .tasks = {record.tasks.begin(), record.tasks.end()},
                                                     .definition = std::string(record.definition),
                                                     .last_needed = kept->last_needed});
    } else if (const auto* key = std::get_if<KeyKept>(*row)) {
      state.keys.insert_or_assign(key->key.key_no, std::string(key->key.key));
    } else if (const auto* pause = std::get_if<PauseKept>(*row)) {
      state.pauses.insert_or_assign({pause->scope, std::string(pause->what)},
                                    PauseImage{pause->since_ns, std::string(pause->reason)});
    } else if (const auto* submission = std::get_if<SubmissionKept>(*row)) {
      state.submissions.insert_or_assign(std::string(submission->key),
                                         SubmissionImage{submission->pipeline, submission->ends_ns});
    } else if (const auto* schedule = std::get_if<ScheduleKept>(*row)) {
      const ScheduleChanged& record = schedule->schedule;
      state.schedules.insert_or_assign(std::string(record.name),
                                       ScheduleImage{.version = record.version,
                                                     .paused = record.paused,
                                                     .cursor_ns = record.cursor_ns,
                                                     .last_ns = record.last_ns,
                                                     .queued_ns = record.queued_ns,
                                                     .definition = std::string(record.definition)});
    } else if (const auto* poison = std::get_if<QuarantineKept>(*row)) {
      add(state.quarantine, poison->pipeline, poison->task,
          {.task = std::string(poison->name),
           .attempt = poison->attempt,
           .rescues = poison->rescues,
           .since_ns = poison->since_ns,
           .error = std::string(poison->error)});
    } else if (auto* pipeline = std::get_if<PipelineImage>(*row)) {
      // One that was carried on meanwhile comes twice: the later row counts.
      pipeline->folded_to = reader->sequence();
      pipeline->open_tasks = open_among(pipeline->tasks);
      const std::uint64_t number = pipeline->pipeline_no;
      if (pipeline->state != PipelineState::Paused) state.pauses.erase(pause_of(*pipeline));
      state.next_pipeline_no = std::max(state.next_pipeline_no, number + 1);
      if (!state.hold(pipeline->tasks.size())) return too_many_tasks(first_sequence);
      const auto [place, is_new] = state.pipelines.try_emplace(number);
      if (!is_new) state.forget(place->second);
      place->second = std::move(*pipeline);
    } else if (auto* more = std::get_if<TasksKept>(*row)) {
      const auto begun_row = state.pipelines.find(more->pipeline_no);
      if (begun_row == state.pipelines.end() || begun_row->second.tasks.size() != more->first) {
        return std::unexpected(StoreError{
            StoreErrorCode::Damaged,
            "checkpoint slice " + std::to_string(first_sequence) + ": tasks without their pipeline's row"});
      }
      if (!state.hold(more->tasks.size())) return too_many_tasks(first_sequence);
      begun_row->second.open_tasks += open_among(more->tasks);
      for (TaskImage& task : more->tasks) begun_row->second.tasks.push_back(std::move(task));
    }
  }
}

std::expected<void, StoreError> StoreImage::carry(std::uint64_t first_sequence,
                                                  std::span<const std::byte> commit,
                                                  const OnEvent& on_event) {
  auto reader = CommitReader::open(first_sequence, commit);
  if (!reader) return std::unexpected(std::move(reader.error()));
  state_->carries = true;
  auto done = Fold::apply(*state_, *reader, on_event);
  state_->carries = false;
  return done;
}

std::expected<void, StoreError> StoreImage::apply(std::uint64_t first_sequence,
                                                  std::span<const std::byte> commit,
                                                  const OnEvent& on_event) {
  State& state = *state_;
  const auto refuse = [&](std::string_view what) { return Fold::refuse(state, first_sequence, what); };
  if (state.refused) return refuse("follows one that was refused");
  auto reader = CommitReader::open(first_sequence, commit);
  if (!reader) {
    state.refused = true;
    return std::unexpected(std::move(reader.error()));
  }
  const CommitHeader& header = reader->header();
  if (state.end_sequence != 0 && header.previous_end() != state.end_sequence) {
    return refuse("follows number " + std::to_string(header.previous_end()) + ", but what is there ends at " +
                  std::to_string(state.end_sequence) + ": commits are missing");
  }
  // Behind a round's minimum the link of the first commit leads to what is gone; the round's hash holds it.
  const bool knows_link = state.hash != 0 || state.end_sequence == 0;
  if (knows_link && header.link && *header.link != state.hash) {
    return refuse("is not linked to the commit before it: one of them was exchanged");
  }
  if (header.epoch < state.epoch) return refuse("comes from an earlier opening than the one before it");
  if (auto done = Fold::apply(state, *reader, on_event); !done) return done;
  state.end_sequence = header.end_sequence();
  state.hash = header.hash;
  if (state.round_hash != 0 && state.end_sequence == state.round_end && state.hash != state.round_hash) {
    return refuse("is not the one with which the checkpoint's round was complete");
  }
  state.epoch = header.epoch;
  state.folded_bytes += commit.size();
  return {};
}

std::expected<void, StoreError> StoreImage::load_waiting(std::span<const std::byte> row) {
  const OnEvent nobody;
  const CommitHeader none{};
  Fold fold(*state_, nobody, none, state_->end_sequence, 0);
  const char* wrong = "cannot be read";
  const bool read = decode_waiting(row, [&](std::int64_t created_ns, const PipelineCreated& created) {
    wrong = fold.take_in(created_ns, created);
  });
  if (read && wrong == nullptr) return {};
  return std::unexpected(
      StoreError{StoreErrorCode::Damaged, "the row of a waiting pipeline " + std::string(wrong)});
}

const std::map<std::uint64_t, PipelineImage>& StoreImage::pipelines() const noexcept {
  return state_->pipelines;
}

std::map<std::uint64_t, PipelineImage> StoreImage::take_pipelines() noexcept {
  state_->tasks = 0;
  return std::exchange(state_->pipelines, {});
}

const std::map<std::uint32_t, WorkflowImage>& StoreImage::workflows() const noexcept {
  return state_->workflows;
}
const std::map<std::uint32_t, std::string>& StoreImage::keys() const noexcept {
  return state_->keys;
}
const PauseImages& StoreImage::pauses() const noexcept {
  return state_->pauses;
}
const SubmissionImages& StoreImage::submissions() const noexcept {
  return state_->submissions;
}
const std::map<std::string, ScheduleImage>& StoreImage::schedules() const noexcept {
  return state_->schedules;
}
const QuarantineImages& StoreImage::quarantine() const noexcept {
  return state_->quarantine;
}
const std::map<WaitingLine, WaitingLineImage>& StoreImage::waiting() const noexcept {
  return state_->waiting;
}
std::uint64_t StoreImage::next_pipeline_no() const noexcept {
  return state_->next_pipeline_no;
}
std::uint32_t StoreImage::next_workflow_no() const noexcept {
  return state_->next_workflow_no;
}
std::uint32_t StoreImage::next_key_no() const noexcept {
  return state_->next_key_no;
}
std::uint64_t StoreImage::end_sequence() const noexcept {
  return state_->end_sequence;
}
std::uint64_t StoreImage::hash() const noexcept {
  return state_->hash;
}
std::uint64_t StoreImage::folded_bytes() const noexcept {
  return state_->folded_bytes;
}
std::uint64_t StoreImage::epoch() const noexcept {
  return state_->epoch;
}

}  // namespace leat
