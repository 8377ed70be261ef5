// The records: what is encoded is decoded, small ones are small, and no bytes whatever lead a reader astray.
#include "leat/transition_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "commit.h"
#include "record_format.h"

namespace leat::test {
namespace {

using testing::ElementsAre;

constexpr std::int64_t kNoon = 1'700'000'000'000'000'000;  // Unix time in ns
constexpr std::uint64_t kFirst = 1000;

/// Holds a packed commit and reads it.
class Packed {
 public:
  template <typename... Groups>
  explicit Packed(const Groups&... groups) {
    CommitWriter writer;
    writer.begin(kFirst, kFirst - 10, 3, kFirst - 20);
    (writer.add(groups), ...);
    const auto bytes = writer.finish();
    bytes_.assign(bytes.begin(), bytes.end());
  }

  std::size_t size() const { return bytes_.size(); }
  const std::vector<std::byte>& bytes() const { return bytes_; }

  /// @return  the only group, as its record
  template <typename Record>
  Record only() {
    reader_.emplace(CommitReader::open(kFirst, bytes_));
    EXPECT_TRUE(*reader_);
    const DecodedGroup* const group = (*reader_)->next().value();
    EXPECT_NE(group, nullptr);
    return std::get<Record>(group->record);
  }

 private:
  std::vector<std::byte> bytes_;
  std::optional<std::expected<CommitReader, StoreError>> reader_;
};

TEST(TransitionGroup, WorkflowDefinedIsReadBack) {
  const std::string_view tasks[] = {"extract", "", "load"};
  Packed packed(TransitionGroup(kNoon, WorkflowDefined{.workflow_no = 7,
                                                       .name = "public::embedded::etl",
                                                       .version = 0x0123456789abcdef,
                                                       .tasks = tasks,
                                                       .definition = "[workflow]"}));
  const auto record = packed.only<WorkflowDefined>();
  EXPECT_EQ(record.workflow_no, 7U);
  EXPECT_EQ(record.name, "public::embedded::etl");
  EXPECT_EQ(record.version, 0x0123456789abcdefU);
  EXPECT_THAT(record.tasks, ElementsAre("extract", "", "load"));
  EXPECT_EQ(record.definition, "[workflow]");
}

TEST(TransitionGroup, KeyDefinedIsReadBack) {
  Packed packed(TransitionGroup(kNoon, KeyDefined{.key_no = 300, .key = "gpu"}));
  const auto record = packed.only<KeyDefined>();
  EXPECT_EQ(record.key_no, 300U);
  EXPECT_EQ(record.key, "gpu");
}

TEST(TransitionGroup, TaskReferredIsReadBack) {
  const std::string name(kExternalRefBytesMax, 'x');
  Packed packed(TransitionGroup(
      kNoon, TaskReferred{.pipeline_no = 300, .task = 7, .attempt = 2, .external_ref = name}));
  const auto record = packed.only<TaskReferred>();
  EXPECT_EQ(record.pipeline_no, 300U);
  EXPECT_EQ(record.task, 7U);
  EXPECT_EQ(record.attempt, 2U);
  EXPECT_EQ(record.external_ref, name);
}

TEST(TransitionGroup, PipelineSignalledIsReadBack) {
  const Successor successors[] = {{1, TaskState::Ready}, {2, TaskState::Skipped}};
  Packed packed(TransitionGroup(kNoon, PipelineSignalled{.pipeline_no = 300,
                                                         .name = "approved",
                                                         .value = "true",
                                                         .successors = successors,
                                                         .start_at_ns = kNoon + 5,
                                                         .pipeline = PipelineState::Completed}));
  const auto record = packed.only<PipelineSignalled>();
  EXPECT_EQ(record.pipeline_no, 300U);
  EXPECT_EQ(record.name, "approved");
  EXPECT_EQ(record.value, "true");
  EXPECT_THAT(record.successors, ElementsAre(successors[0], successors[1]));
  EXPECT_EQ(record.start_at_ns, kNoon + 5);
  EXPECT_EQ(record.pipeline, PipelineState::Completed);
  Packed small(TransitionGroup(kNoon, PipelineSignalled{.pipeline_no = 1, .name = "s", .value = "1"}));
  EXPECT_EQ(small.only<PipelineSignalled>().pipeline, std::nullopt);
}

TEST(TransitionGroup, TraitsWithSignalsAreReadBack) {
  const std::string signals = encode_signals({{"a", "1"}, {"b", "\"x\""}});
  Packed packed(TransitionGroup(kNoon, PipelineCreated{.pipeline_no = 1,
                                                       .task_count = 1,
                                                       .traits = {.concurrency_key = "k",
                                                                  .start_at_ns = 7,
                                                                  .firing = {.schedule = "s", .version = 2},
                                                                  .signals = signals,
                                                                  .keeps_start = true}}));
  const auto traits = packed.only<PipelineCreated>().traits;
  EXPECT_EQ(traits.firing.schedule, "s");
  EXPECT_TRUE(traits.keeps_start);
  SignalValues values;
  ASSERT_TRUE(decode_signals(traits.signals, values));
  EXPECT_EQ(values, (SignalValues{{"a", "1"}, {"b", "\"x\""}}));
  EXPECT_FALSE(decode_signals(std::string(signals) + "\x09", values)) << "cut";
}

TEST(TransitionGroup, PipelineCreatedIsReadBack) {
  const std::uint32_t ready[] = {0, 1, 2, 9};
  const Uuid id = Uuid::make_v7(1, 2, 3);
  Packed packed(TransitionGroup(
      kNoon, PipelineCreated{.pipeline_no = std::uint64_t{1} << 40,
                             .id = id,
                             .workflow_no = 5,
                             .task_count = 10,
                             .level = Durability::Process,
                             .ready = ready,
                             .context = "{\"a\":1}",
                             .traits = {.concurrency_key = "customer-7", .priority = Priority::High}}));
  const auto record = packed.only<PipelineCreated>();
  EXPECT_EQ(record.pipeline_no, std::uint64_t{1} << 40);
  EXPECT_EQ(record.id, id);
  EXPECT_EQ(record.workflow_no, 5U);
  EXPECT_EQ(record.task_count, 10U);
  EXPECT_EQ(record.level, Durability::Process);
  EXPECT_THAT(record.ready, ElementsAre(0, 1, 2, 9));
  EXPECT_EQ(record.context, "{\"a\":1}");
  EXPECT_EQ(record.traits.concurrency_key, "customer-7");
  EXPECT_EQ(record.traits.priority, Priority::High);
}

TEST(TransitionGroup, PipelineCreatedByAScheduleIsReadBack) {
  Packed packed(TransitionGroup(
      kNoon,
      PipelineCreated{
          .pipeline_no = 1,
          .task_count = 1,
          .traits = {.firing = {.schedule = "nightly", .version = 7, .time_ns = -5, .cursor_ns = 9}}}));
  const auto record = packed.only<PipelineCreated>();
  EXPECT_EQ(record.traits.concurrency_key, "");
  EXPECT_EQ(record.traits.firing.schedule, "nightly");
  EXPECT_EQ(record.traits.firing.version, 7U);
  EXPECT_EQ(record.traits.firing.time_ns, -5);
  EXPECT_EQ(record.traits.firing.cursor_ns, 9);
}

TEST(TransitionGroup, TheAttemptsOfATaskDispatchedAloneAreReadBack) {
  Packed packed(TransitionGroup(
      kNoon, PipelineCreated{.pipeline_no = 1, .task_count = 1, .traits = {.attempts_max = 300}}));
  EXPECT_EQ(packed.only<PipelineCreated>().traits.attempts_max, 300U);
}

TEST(TransitionGroup, OneAttemptAloneTakesNoByte) {
  const PipelineCreated plain{.pipeline_no = 1, .task_count = 1};
  const PipelineCreated one{.pipeline_no = 1, .task_count = 1, .traits = {.attempts_max = 1}};
  const PipelineCreated two{.pipeline_no = 1, .task_count = 1, .traits = {.attempts_max = 2}};
  EXPECT_EQ(TransitionGroup(kNoon, one).bytes().size(), TransitionGroup(kNoon, plain).bytes().size());
  EXPECT_EQ(TransitionGroup(kNoon, two).bytes().size(), TransitionGroup(kNoon, plain).bytes().size() + 3);
}

TEST(TransitionGroup, ScheduleChangedIsReadBack) {
  Packed packed(TransitionGroup(kNoon, ScheduleChanged{.name = "nightly",
                                                       .version = 300,
                                                       .removed = true,
                                                       .paused = true,
                                                       .cursor_ns = 1,
                                                       .last_ns = 2,
                                                       .queued_ns = 3,
                                                       .definition = "{}"}));
  const auto record = packed.only<ScheduleChanged>();
  EXPECT_EQ(record.name, "nightly");
  EXPECT_EQ(record.version, 300U);
  EXPECT_TRUE(record.removed && record.paused);
  EXPECT_EQ(record.cursor_ns, 1);
  EXPECT_EQ(record.last_ns, 2);
  EXPECT_EQ(record.queued_ns, 3);
  EXPECT_EQ(record.definition, "{}");
}

TEST(TransitionGroup, TaskStartedIsReadBack) {
  Packed packed(
      TransitionGroup(kNoon, TaskStarted{.pipeline_no = 9, .task = 1234, .attempt = 3, .key_no = 2}));
  const auto record = packed.only<TaskStarted>();
  EXPECT_EQ(record.pipeline_no, 9U);
  EXPECT_EQ(record.task, 1234U);
  EXPECT_EQ(record.attempt, 3U);
  EXPECT_EQ(record.key_no, 2U);
  EXPECT_FALSE(record.worker);
}

TEST(TransitionGroup, TaskStartedByAWorkerIsReadBack) {
  Packed packed(TransitionGroup(
      kNoon,
      TaskStarted{.pipeline_no = 9, .task = 1234, .key_no = 2, .worker = 0, .waited_ns = 5'000'000'000}));
  const auto record = packed.only<TaskStarted>();
  EXPECT_EQ(record.task, 1234U);
  EXPECT_EQ(record.worker, 0U);
  EXPECT_EQ(record.waited_ns, 5'000'000'000U);
}

TEST(TransitionGroup, TheTimeOfTheLastSyncIsReadBack) {
  for (const std::int64_t synced_ns : {std::int64_t{0}, kNoon - 7'000'000, kNoon, kNoon + 1}) {
    CommitWriter writer;
    writer.begin(kFirst, kFirst, 3, kFirst - 20, synced_ns);
    writer.add(TransitionGroup(kNoon, TaskStarted{.pipeline_no = 9}));
    EXPECT_EQ(CommitReader::open(kFirst, writer.finish())->header().synced_ns, synced_ns);
  }
}

TEST(TransitionGroup, TaskEndedWithEverythingIsReadBack) {
  const Successor successors[] = {{5, TaskState::Ready},
                                  {6, TaskState::Ready},
                                  {7, TaskState::Skipped},
                                  {2, TaskState::Cancelled},
                                  {100, TaskState::Ready}};
  const std::string output(1000, 'o');
  Packed packed(TransitionGroup(kNoon, TaskEnded{.pipeline_no = 9,
                                                 .task = 4,
                                                 .attempt = 2,
                                                 .from = TaskState::Running,
                                                 .to = TaskState::Ready,
                                                 .cause = TaskEnded::Cause::Retry,
                                                 .retry_at_ns = kNoon + 5,
                                                 .successors = successors,
                                                 .pipeline = PipelineState::Failed,
                                                 .error = "no such file",
                                                 .context = "{}",
                                                 .output = output}));
  const auto record = packed.only<TaskEnded>();
  EXPECT_EQ(record.pipeline_no, 9U);
  EXPECT_EQ(record.task, 4U);
  EXPECT_EQ(record.attempt, 2U);
  EXPECT_EQ(record.from, TaskState::Running);
  EXPECT_EQ(record.to, TaskState::Ready);
  EXPECT_EQ(record.cause, TaskEnded::Cause::Retry);
  EXPECT_EQ(record.retry_at_ns, kNoon + 5);
  EXPECT_TRUE(std::ranges::equal(record.successors, successors));
  EXPECT_EQ(record.pipeline, PipelineState::Failed);
  EXPECT_EQ(record.error, "no such file");
  EXPECT_EQ(record.context, "{}");
  EXPECT_EQ(record.output, output);
}

TEST(TransitionGroup, PlainTaskEndedIsReadBackWithItsDefaults) {
  Packed packed(TransitionGroup(kNoon, TaskEnded{.pipeline_no = 1}));
  const auto record = packed.only<TaskEnded>();
  EXPECT_EQ(record.attempt, 1U);
  EXPECT_EQ(record.cause, TaskEnded::Cause::Result);
  EXPECT_EQ(record.retry_at_ns, 0);
  EXPECT_TRUE(record.successors.empty());
  EXPECT_EQ(record.pipeline, std::nullopt);
  EXPECT_TRUE(record.error.empty() && record.context.empty() && record.output.empty());
}

TEST(TransitionGroup, PipelineChangedIsReadBack) {
  const Successor successors[] = {{1, TaskState::Cancelled}, {3, TaskState::Cancelled}};
  Packed packed(TransitionGroup(kNoon, PipelineChanged{.pipeline_no = 77,
                                                       .to = PipelineState::Cancelled,
                                                       .successors = successors,
                                                       .reason = "asked for"}));
  const auto record = packed.only<PipelineChanged>();
  EXPECT_EQ(record.pipeline_no, 77U);
  EXPECT_EQ(record.to, PipelineState::Cancelled);
  EXPECT_TRUE(std::ranges::equal(record.successors, successors));
  EXPECT_EQ(record.reason, "asked for");
}

TEST(TransitionGroup, CountsItsTransitions) {
  const std::uint32_t ready[] = {0, 1};
  const Successor successors[] = {{1, TaskState::Ready}, {2, TaskState::Ready}};
  EXPECT_EQ(TransitionGroup().transitions(), 0U);
  EXPECT_EQ(TransitionGroup(0, KeyDefined{}).transitions(), 0U);
  EXPECT_EQ(TransitionGroup(0, WorkflowDefined{}).transitions(), 0U);
  EXPECT_EQ(TransitionGroup(0, PipelineCreated{.task_count = 5, .ready = ready}).transitions(), 7U);
  EXPECT_EQ(TransitionGroup(0, TaskStarted{}).transitions(), 1U);
  EXPECT_EQ(TransitionGroup(0, TaskEnded{.successors = successors}).transitions(), 3U);
  EXPECT_EQ(TransitionGroup(0, PipelineChanged{.successors = successors}).transitions(), 2U);
}

TEST(TransitionGroup, PlainCompletedAloneInItsCommitTakesAtMost48Bytes) {
  const TransitionGroup group(kNoon, TaskEnded{.pipeline_no = 100'000'000, .task = 1000});
  EXPECT_LE(Packed(group).size(), 48U);
}

TEST(TransitionGroup, PlainCompletedAmongOthersTakesAtMost16Bytes) {
  constexpr int kCount = 1000;
  CommitWriter writer;
  writer.begin(1, 1, 1, 1);
  for (int index = 0; index < kCount; ++index) {
    const std::int64_t time_ns = kNoon + index * 1000;
    writer.add(TransitionGroup(time_ns, TaskEnded{.pipeline_no = 100'000'000, .task = 1000}));
  }
  EXPECT_LE(writer.finish().size(), kCount * 16U);
}

TEST(TransitionGroup, FanOutOfAThousandNeighboursTakesAFewBytes) {
  std::vector<Successor> successors;
  for (std::uint32_t task = 1; task <= 1000; ++task) successors.push_back({task, TaskState::Ready});
  const TransitionGroup group(kNoon, TaskEnded{.pipeline_no = 1, .successors = successors});
  EXPECT_EQ(group.transitions(), 1001U);
  EXPECT_LE(group.bytes().size(), 16U);
  Packed packed(group);
  EXPECT_TRUE(std::ranges::equal(packed.only<TaskEnded>().successors, successors));
}

TEST(TransitionGroup, EveryLengthAroundTheInlineLimitIsKept) {
  for (std::size_t length = 0; length < 3 * TransitionGroup::kInlineBytes; ++length) {
    const std::string error(length, 'e');
    TransitionGroup group(kNoon, TaskEnded{.pipeline_no = 1, .to = TaskState::Failed, .error = error});
    TransitionGroup moved(std::move(group));
    group = std::move(moved);
    EXPECT_TRUE(moved.bytes().empty());
    Packed packed(group);
    EXPECT_EQ(packed.only<TaskEnded>().error, error);
  }
}

TEST(TransitionGroup, AnyTwoTimesMeetInOneCommit) {
  using Limits = std::numeric_limits<std::int64_t>;
  const std::int64_t times[] = {0, Limits::min(), Limits::max(), -1, kNoon, Limits::min() + 1};
  CommitWriter writer;
  writer.begin(kFirst, kFirst, 1, kFirst);
  for (const std::int64_t time : times) writer.add(TransitionGroup(time, TaskStarted{}));
  auto reader = CommitReader::open(kFirst, writer.finish());
  ASSERT_TRUE(reader);
  for (const std::int64_t time : times) EXPECT_EQ((*reader->next())->time_ns, time);
}

TEST(Commit, HeaderIsReadBack) {
  const TransitionGroup group(kNoon, TaskStarted{.pipeline_no = 1});
  const Packed packed(group, group);
  const auto reader = CommitReader::open(kFirst, packed.bytes());
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->header().epoch, 3U);
  EXPECT_EQ(reader->header().previous_end(), kFirst - 10);
  EXPECT_EQ(reader->header().synced, kFirst - 20);
  EXPECT_EQ(reader->header().transitions, 2U);
  EXPECT_EQ(reader->header().end_sequence(), kFirst + 2);
}

TEST(Commit, CommitUnderAnotherNumberIsDamaged) {
  const Packed packed(TransitionGroup(kNoon, TaskStarted{.pipeline_no = 1}));
  const auto reader = CommitReader::open(kFirst + 1, packed.bytes());
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, StoreErrorCode::Damaged);
}

TEST(Commit, EveryFlippedBitIsDamage) {
  const Packed packed(TransitionGroup(kNoon, TaskEnded{.pipeline_no = 1, .error = "why"}));
  for (std::size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::vector<std::byte> bytes = packed.bytes();
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto reader = CommitReader::open(kFirst, bytes);
    ASSERT_FALSE(reader) << bit;
    EXPECT_EQ(reader.error().code, StoreErrorCode::Damaged) << bit;
  }
}

TEST(Commit, EveryTruncationIsDamage) {
  const Packed packed(TransitionGroup(kNoon, TaskEnded{.pipeline_no = 1, .error = "why"}));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(CommitReader::open(kFirst, std::span(packed.bytes()).first(size))) << size;
  }
}

/// Makes the checksum right again.
void seal(std::vector<std::byte>& bytes) {
  const std::size_t checked = bytes.size() - record_format::kChecksumBytes;
  record_format::put_u64(bytes.data() + checked, XXH3_64bits_withSeed(bytes.data(), checked, kFirst));
}

TEST(Commit, LaterVersionIsRefusedByName) {
  std::vector<std::byte> bytes = Packed(TransitionGroup(kNoon, TaskStarted{})).bytes();
  bytes[0] = std::byte{9};
  seal(bytes);
  const auto reader = CommitReader::open(kFirst, bytes);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, StoreErrorCode::NewerFormat);
  EXPECT_THAT(reader.error().message, testing::HasSubstr("format 9"));
}

TEST(Commit, HostileBytesUnderARightChecksumAreReadWithinBounds) {  // row 195
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const std::uint32_t ready[] = {0, 2};
  const Successor successors[] = {{1, TaskState::Ready}, {2, TaskState::Skipped}};
  const std::string_view tasks[] = {"a", "b"};
  const Packed packed(
      TransitionGroup(kNoon,
                      WorkflowDefined{.workflow_no = 1, .name = "w", .tasks = tasks, .definition = "d"}),
      TransitionGroup(kNoon, KeyDefined{.key_no = 1, .key = "k"}),
      TransitionGroup(kNoon,
                      PipelineCreated{.pipeline_no = 1, .task_count = 3, .ready = ready, .context = "{}"}),
      TransitionGroup(kNoon, TaskStarted{.pipeline_no = 1}),
      TransitionGroup(kNoon, TaskEnded{.pipeline_no = 1, .successors = successors, .output = "out"}),
      TransitionGroup(kNoon, PipelineChanged{.pipeline_no = 1, .successors = successors, .reason = "r"}),
      TransitionGroup(kNoon, TaskReferred{.pipeline_no = 1, .external_ref = "job"}),
      TransitionGroup(
          kNoon, PipelineSignalled{.pipeline_no = 1, .name = "s", .value = "1", .successors = successors}),
      TransitionGroup(kNoon, ScheduleChanged{.name = "s", .version = 1, .queued_ns = 5, .definition = "d"}),
      TransitionGroup(kNoon, PipelineCreated{.pipeline_no = 2,
                                             .task_count = 1,
                                             .traits = {.concurrency_key = "k",
                                                        .firing = {.schedule = "s", .version = 2},
                                                        .attempts_max = 3}}));
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> bytes = packed.bytes();
    for (std::uint64_t change = 1 + random() % 4; change > 0; --change) {
      bytes[1 + random() % (bytes.size() - 1)] = static_cast<std::byte>(random());
    }
    if (random() % 4 == 0) bytes.resize(record_format::kChecksumBytes + 1 + random() % bytes.size());
    seal(bytes);
    auto reader = CommitReader::open(kFirst, bytes);
    if (!reader) {
      ++refused;
      continue;
    }
    auto group = reader->next();
    while (group && *group != nullptr) group = reader->next();
    if (!group) ++refused;
  }
  EXPECT_GT(refused, 0);
}

TEST(Commit, ChangesThatClaimMoreTasksThanAPipelineHasAreDamage) {
  // One run of 2^32 - 1 tasks: five bytes that must not become gigabytes.
  std::vector<std::byte> bytes = Packed(TransitionGroup(kNoon, PipelineChanged{.pipeline_no = 1})).bytes();
  bytes.resize(bytes.size() - record_format::kChecksumBytes);
  bytes.back() |= std::byte{record_format::changed::kSuccessors};
  std::byte run[12];
  std::byte* out = record_format::put_varint(run, 1);
  out = record_format::put_varint(out, 4);
  out = record_format::put_varint(out, std::numeric_limits<std::uint32_t>::max());
  bytes.insert(bytes.end(), run, out);
  bytes.resize(bytes.size() + record_format::kChecksumBytes);
  seal(bytes);
  auto reader = CommitReader::open(kFirst, bytes);
  ASSERT_TRUE(reader);
  const auto group = reader->next();
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, StoreErrorCode::Damaged);
}

}  // namespace
}  // namespace leat::test
