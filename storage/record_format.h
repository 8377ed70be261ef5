// The form in which the journal's bytes lie on disk: STORE_FORMAT 4. This file alone owns it.
//
// Types     u8, u64, i64    little endian
//           varint          7 bits a byte, low bits first, at most 10 bytes, no longer than needed
//           zigzag          a signed number as varint: 0, -1, 1, -2 ... are 0, 1, 2, 3 ...
//           text            varint length, then the bytes
//           context         text: JSON; or, for one that lies apart, a byte 1 and u64, its ContextMark
//
// commit    u8              version: 3
//           u64             link: checksum of the commit before it, 0 before the first; absent in version 1
//           varint          epoch: of the opening that wrote it
//           varint          gap: numbers left out since the commit before it; 0 but after a reopening
//           varint          unsynced: first sequence number - synced watermark as known when it was written
//           varint          transitions: max(1, transitions) sequence numbers are taken from the first on
//           varint          groups
//           i64             base: Unix time in ns
//           varint          synced at: 1 + zigzag of when the sync of that watermark had returned, Unix time
//                           - base, in ns; 0: not known; absent before version 3
//           group ...       so many
//           u64             checksum: XXH3-64 of all bytes before it, seeded with the first sequence number.
//                           With the link in it, it stands for the whole journal up to here: its hash
//
// group     zigzag          time - base, in ns
//           u8              kind, then the fields of its record:
//
// 1 WorkflowDefined         takes no sequence number
//           varint          workflow_no
//           text            name
//           u64             version of the workflow
//           varint          count of tasks
//           text ...        so many names
//           text            definition; leat/workflow_shape.h says of what
//
// 2 KeyDefined              takes no sequence number
//           varint          key_no
//           text            key
//
// 3 PipelineCreated         takes task_count + ready
//           varint          pipeline_no
//           16 bytes        id, as Uuid::bytes
//           varint          workflow_no
//           varint          task_count
//           u8              Durability | 4 ready | 8 context | 16 traits
//           changes         ready, where flagged; all to Ready
//           context         where flagged; its place: 0
//           traits          where flagged
//
// 4 TaskStarted             takes 1
//           varint          pipeline_no
//           varint          task
//           varint          attempt
//           varint          key_no
//
// 5 TaskEnded               takes 1 + successors
//           varint          pipeline_no
//           varint          task
//           u8              TaskState from | TaskState to << 3 | 64 told
//           u8              flags: which of the following are there
//           varint          1: attempt; else 1
//           u8              2: TaskEnded::Cause; else Result
//           zigzag          4: retry_at - time, in ns; else no retry time
//           changes         8: successors
//           u8              16: PipelineState, where this step changed it
//           text            32: error
//           context         64: what it saved; its place: task + 1
//           text            128: output
//           text            told, where flagged: a child's end, which its parent is to be told as a signal
//
// 6 PipelineChanged         takes its successors
//           varint          pipeline_no
//           u8              PipelineState to | 8 successors | 16 reason | 32 told
//           changes         successors, where flagged
//           text            reason, where flagged
//           text            told, where flagged, as in TaskEnded
//
// 7 TaskReferred            takes no sequence number
//           varint          pipeline_no
//           varint          task
//           varint          attempt
//           text            external_ref, 1 to 256 bytes
//
// 8 PauseChanged            takes no sequence number
//           u8              PauseScope | 2 paused; else open again
//           text            the executor key or the pattern
//           text            reason, where paused
//
// 9 TaskStartedBy           takes 1; as TaskStarted, then
//           varint          worker: its number in the executor
//           varint          waited: from its dispatch to its start, in ns
//
// 10 PipelineSignalled      takes its successors
//           varint          pipeline_no
//           u8              PipelineState | 8 which this step changed | 16 successors | 32 start | 64 told
//           text            name, value: JSON text
//           changes         successors, where flagged; Ready or Skipped
//           i64             start, where flagged: Unix time in ns, before which those that are Ready do not
//                           begin
//           text            told, where flagged, as in TaskEnded
//
// 12 ScheduleChanged        takes no sequence number
//           text            name
//           varint          version: the number of the change, from 1
//           u8              1 removed | 2 paused | 4 queued | 8 definition
//           i64             cursor: Unix time in ns, up to where its times are dealt with
//           i64             last: the time that was fired last; 0: none
//           i64             queued, where flagged: a time that waits for the pipeline before it
//           text            definition, where flagged; else as before
//
// 13 QuarantineLeft         takes no sequence number
//           16 bytes        id of the pipeline
//           varint          task
//
// 14 PipelineSetAside       takes task_count + ready
//           line            varint workflow_no, varint key_no, u8 priority
//           u8              0
//           varint          place
//           creation        as PipelineCreated, behind its kind
// 14 PipelinesTakenIn       takes no sequence number
//           line            as above
//           u8              1 in turn | 2 out of turn
//           varint          place, begin, end, holes
//           text ...        waiting rows, up to the record's end: one text around them all
//
// 15 GroupsLeftOut          takes transitions; in carried commits alone
//           varint          transitions: that groups of others took here
//
// traits    u8              flags of those that are there:
//           text            1: concurrency key
//           i64             2: start: Unix time in ns, before which no task begins
//           text, i64       4: idempotency key, its end: Unix time in ns
//           firing          8: it was submitted by a schedule, whose change is a part of this record:
//             text          name, varint version, i64 time, i64 cursor
//           text           16: tasks that another pipeline has done: each varint task, u8 TaskState, context;
//                              their places: task + 1
//           u8             32: flags of more that are there:
//             text          1: signals that have come: each text name, text value
//                           2: the start, above, is remembered
//             parent        4: whose child it is: 16 bytes id, varint pipeline_no, varint depth, text name
//             text          8: in rows: ends of children that are signals to be, as signals
//             varint       16: attempts of each task, at most, whatever its workflow says: from 2
//           urgency        64: how urgent it is:
//             u8           Priority | 4 deadline | 8 redriven
//             i64          deadline, where flagged: Unix time in ns
//             16 bytes, varint  redriven, where flagged: id and task that leave the quarantine with this
//                               record
//
// changes   varint          runs of neighbouring tasks with one new state; for each run:
//           varint          zigzag (first task - end of the run before, or 0) << 3 | long << 2 | state;
//                           state: 0 Ready, 1 Skipped, 2 Cancelled
//           varint          where long: tasks in the run - 2; else the run is one task
//
// Rows of a checkpoint go through the ring like groups and into a slice of their own, which is written with
// the journal's commit, under that commit's first sequence number:
//
// slice     u8              version: 1
//           varint          generation: of the round
//           varint          rows
//           row ...         so many
//           u64             checksum: XXH3-64 of all bytes before it, seeded with the first sequence number
//
// row       varint          sequence number of the next transition - the commit's first: the row's pipeline
//                           is as all groups below left it
//           u8              kind, varint generation, then the fields of its record:
//
// 16 RoundBegun             varint minimum, varint next_pipeline_no, next_workflow_no, next_key_no
// 17 WorkflowKept           varint last_needed, then as WorkflowDefined
// 18 KeyKept                as KeyDefined
// 19 PipelineKept
//           varint          pipeline_no
//           16 bytes        id
//           varint          workflow_no
//           u8              Durability | PipelineState << 2 | 32 context | 64 finished | 128 traits
//           i64             created: Unix time in ns
//           zigzag          finished - created, where flagged
//           context         where flagged
//           varint          last_completed + 1, or 0
//           traits          where flagged
//           varint          tasks in this row; then runs of neighbouring tasks that are alike:
//             u8            TaskState | 8 run | 16 details
//             varint        where run: tasks in the run - 2; else the run is one task
//             u8            where details: flags of those that are there:
//                           1 varint attempt, 2 varint rescues, 4 varint key_no, 8 i64 retry_at,
//                           16 text error, 32 context, 64 text external_ref; else 1, 0, 0, 0, none ...
// 20 RoundEnded             i64 Unix time in ns
// 21 TasksKept              varint pipeline_no, varint first task; then tasks as in PipelineKept, which they
//                           go on: a row is closed when it passes kRowBytesMax
// 22 PauseKept              u8 PauseScope, i64 since: Unix time in ns, text key, pattern or pipeline's id,
//                           text reason; a Paused pipeline's follows its row
// 23 SubmissionKept         text idempotency key, 16 bytes id of its pipeline, i64 its end: Unix time in ns
// 27 QuarantineKept         16 bytes id, varint task, text its namespace, varint attempt, varint rescues,
//                           i64 since: Unix time in ns, text error
// 28 ScheduleKept           as ScheduleChanged, always with its definition
//
// What the journal drops of pipelines that live in the round where it then begins is carried: a carried
// commit is a commit with the number and epoch of the one it stands for, and GroupsLeftOut for all groups of
// others. Its gap, unsynced and link are 0.
//
// The pipelines that a commit finishes have their summaries in a pack, written under its first number too:
//
// pack      u8              version: 1
//           varint          summaries
//           varint          summaries in all packs before
//           varint          bytes of all packs before
//           i64             base: Unix time in ns
//           i64             the latest time of any group with a summary, up to these
//           summary ...     so many
//           u64             checksum, as the slice's
//
// summary   zigzag          time of its group - base, in ns
//           u8              PipelineState | 8 counts | 16 error | 32 finished | 64 timed
//           varint          workflow_no
//           varint          tasks
//           varint          completed, failed, skipped, where flagged; else all completed
//           zigzag          finished - time of its group, where flagged
//           zigzag          finished - created
//           id              where timed: zigzag (its first 48 bits, ms) - (created in ms), then its other 10
//                           bytes; else 16 bytes
//           text            error, where flagged
//
// A context that lies apart is the text alone, under its pipeline's number and its place, in the same write
// as the commit whose record has its mark.
//
// A pipeline that waits in the store alone has a row of its own, under its line and place:
//
// waiting   i64             created: Unix time in ns
//           creation        as PipelineCreated, behind its kind
//
// In the store an XXH3-64 follows, seeded with the place.
//
// So a fan-out of 1,000 neighbours takes 4 bytes, a lone successor 2 or 3. Each transition takes a sequence
// number. A later format raises the version; a reader refuses versions that it does not know.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "leat/states.h"

namespace leat::record_format {

inline constexpr std::uint8_t kVersion = 3;
inline constexpr std::uint8_t kVersionUntimed = 2;
inline constexpr std::uint8_t kVersionUnlinked = 1;
inline constexpr std::size_t kVarintBytesMax = 10;
inline constexpr std::uint8_t kContextMark = 1;  // no JSON begins so
inline constexpr std::size_t kContextMarkBytes = 9;
inline constexpr std::size_t kChecksumBytes = 8;
inline constexpr std::size_t kRowBytesMax = std::size_t{4} << 20;

enum class Kind : std::uint8_t {
  WorkflowDefined = 1,
  KeyDefined = 2,
  PipelineCreated = 3,
  TaskStarted = 4,
  TaskEnded = 5,
  PipelineChanged = 6,
  TaskReferred = 7,
  PauseChanged = 8,
  TaskStartedBy = 9,
  PipelineSignalled = 10,
  ScheduleChanged = 12,
  QuarantineLeft = 13,
  Waiting = 14,  ///< PipelineSetAside and PipelinesTakenIn
  GroupsLeftOut = 15,
  RoundBegun = 16,  ///< from here on: rows of a checkpoint
  WorkflowKept = 17,
  KeyKept = 18,
  PipelineKept = 19,
  RoundEnded = 20,
  TasksKept = 21,
  PauseKept = 22,
  SubmissionKept = 23,
  QuarantineKept = 27,
  ScheduleKept = 28,
};

namespace created {
inline constexpr std::uint8_t kLevelMask = 3;
inline constexpr std::uint8_t kReady = 4;
inline constexpr std::uint8_t kContext = 8;
inline constexpr std::uint8_t kTraits = 16;
inline constexpr std::uint8_t kAll = kLevelMask | kReady | kContext | kTraits;
}  // namespace created

namespace traits {
inline constexpr std::uint8_t kConcurrencyKey = 1;
inline constexpr std::uint8_t kStartAt = 2;
inline constexpr std::uint8_t kIdempotencyKey = 4;
inline constexpr std::uint8_t kFiring = 8;
inline constexpr std::uint8_t kTasksDone = 16;
inline constexpr std::uint8_t kMore = 32;
inline constexpr std::uint8_t kUrgency = 64;
inline constexpr std::uint8_t kAll =
    kConcurrencyKey | kStartAt | kIdempotencyKey | kFiring | kTasksDone | kMore | kUrgency;
}  // namespace traits

/// Behind the traits' own flags.
namespace more {
inline constexpr std::uint8_t kSignals = 1;
inline constexpr std::uint8_t kKeepsStart = 2;
inline constexpr std::uint8_t kParent = 4;
inline constexpr std::uint8_t kChildEnds = 8;
inline constexpr std::uint8_t kAttempts = 16;
inline constexpr std::uint8_t kAll = kSignals | kKeepsStart | kParent | kChildEnds | kAttempts;
}  // namespace more

namespace signalled {
inline constexpr std::uint8_t kStateMask = 7;
inline constexpr std::uint8_t kPipeline = 8;
inline constexpr std::uint8_t kSuccessors = 16;
inline constexpr std::uint8_t kStart = 32;
inline constexpr std::uint8_t kTold = 64;
inline constexpr std::uint8_t kAll = kStateMask | kPipeline | kSuccessors | kStart | kTold;
}  // namespace signalled

namespace urgency {
inline constexpr std::uint8_t kPriorityMask = 3;
inline constexpr std::uint8_t kDeadline = 4;
inline constexpr std::uint8_t kRedriven = 8;
inline constexpr std::uint8_t kAll = kPriorityMask | kDeadline | kRedriven;
}  // namespace urgency

namespace schedule {
inline constexpr std::uint8_t kRemoved = 1;
inline constexpr std::uint8_t kPaused = 2;
inline constexpr std::uint8_t kQueued = 4;
inline constexpr std::uint8_t kDefinition = 8;
inline constexpr std::uint8_t kAll = kRemoved | kPaused | kQueued | kDefinition;
}  // namespace schedule

namespace ended {
inline constexpr std::uint8_t kStatesMask = 63;
inline constexpr std::uint8_t kTold = 64;  // with the states
inline constexpr std::uint8_t kAttempt = 1;
inline constexpr std::uint8_t kCause = 2;
inline constexpr std::uint8_t kRetryAt = 4;
inline constexpr std::uint8_t kSuccessors = 8;
inline constexpr std::uint8_t kPipeline = 16;
inline constexpr std::uint8_t kError = 32;
inline constexpr std::uint8_t kContext = 64;
inline constexpr std::uint8_t kOutput = 128;
}  // namespace ended

namespace changed {
inline constexpr std::uint8_t kStateMask = 7;
inline constexpr std::uint8_t kSuccessors = 8;
inline constexpr std::uint8_t kReason = 16;
inline constexpr std::uint8_t kTold = 32;
inline constexpr std::uint8_t kAll = kStateMask | kSuccessors | kReason | kTold;
}  // namespace changed

namespace kept {
inline constexpr std::uint8_t kLevelMask = 3;
inline constexpr unsigned kStateShift = 2;
inline constexpr std::uint8_t kStateMask = 7;
inline constexpr std::uint8_t kContext = 32;
inline constexpr std::uint8_t kFinished = 64;
inline constexpr std::uint8_t kTraits = 128;
inline constexpr std::uint8_t kAll = 255;

inline constexpr std::uint8_t kTaskStateMask = 7;
inline constexpr std::uint8_t kRun = 8;
inline constexpr std::uint8_t kDetails = 16;
inline constexpr std::uint8_t kTaskAll = 31;

inline constexpr std::uint8_t kAttempt = 1;
inline constexpr std::uint8_t kRescues = 2;
inline constexpr std::uint8_t kKey = 4;
inline constexpr std::uint8_t kRetryAt = 8;
inline constexpr std::uint8_t kError = 16;
inline constexpr std::uint8_t kTaskContext = 32;
inline constexpr std::uint8_t kExternalRef = 64;
inline constexpr std::uint8_t kDetailsAll = 127;
}  // namespace kept

namespace summary {
inline constexpr std::uint8_t kStateMask = 7;
inline constexpr std::uint8_t kCounts = 8;
inline constexpr std::uint8_t kError = 16;
inline constexpr std::uint8_t kFinished = 32;
inline constexpr std::uint8_t kTimed = 64;
inline constexpr std::uint8_t kAll = 127;
}  // namespace summary

namespace pause {
inline constexpr std::uint8_t kScopeMask = 1;
inline constexpr std::uint8_t kPaused = 2;
inline constexpr std::uint8_t kAll = kScopeMask | kPaused;
}  // namespace pause

namespace waiting {
inline constexpr std::uint8_t kSetAside = 0;
inline constexpr std::uint8_t kInTurn = 1;
inline constexpr std::uint8_t kOutOfTurn = 2;
}  // namespace waiting

/// The states that a successor may take, by their code in `changes`.
inline constexpr TaskState kSuccessorStates[] = {TaskState::Ready, TaskState::Skipped, TaskState::Cancelled};

constexpr std::uint64_t zigzag(std::int64_t value) {
  return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}

constexpr std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
}

/// Differences of times wrap around, as sum() does, so that no pair of times overflows.
constexpr std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
constexpr std::int64_t sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

constexpr std::size_t varint_size(std::uint64_t value) {
  return static_cast<std::size_t>(std::bit_width(value | 1) + 6) / 7;
}

/// @pre     varint_size(value) bytes at `out`
/// @return  the byte after the last one written
inline std::byte* put_varint(std::byte* out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<std::byte>(value | 0x80);
  *out++ = static_cast<std::byte>(value);
  return out;
}

constexpr std::uint64_t little_endian(std::uint64_t value) {
  if constexpr (std::endian::native == std::endian::little) return value;
  return __builtin_bswap64(value);
}

inline std::byte* put_u64(std::byte* out, std::uint64_t value) {
  value = little_endian(value);
  std::memcpy(out, &value, sizeof value);
  return out + sizeof value;
}

inline std::uint64_t get_u64(const std::byte* in) {
  std::uint64_t value = 0;
  std::memcpy(&value, in, sizeof value);
  return little_endian(value);
}

}  // namespace leat::record_format
