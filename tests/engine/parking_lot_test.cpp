// The parking lot: what lies in it costs little, and comes out as it went in.
#include "parking_lot.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "heap_bytes.h"
#include "leat/namespace.h"

namespace leat {
namespace {

/// Says of every pipeline that its tasks are at their third attempt.
class Pipelines final : public AttemptListener {
 public:
  explicit Pipelines(Namespace name) : name_(name) {}
  bool begin(Attempt&) noexcept override { return true; }
  void end(Attempt&) noexcept override {}
  void overdue(Attempt&) noexcept override {}
  void returned(Attempt&) noexcept override {}
  std::expected<void, Error> refer(Attempt&, std::string_view) override { return {}; }
  TaskReadyEvent event_of(void* pipeline, std::uint32_t task) const noexcept override {
    TaskReadyEvent event;
    event.task_namespace = name_;
    event.attempt = 3;
    event.origin = pipeline;
    event.task_number = task;
    return event;
  }

 private:
  Namespace name_;
};

class ParkingLotTest : public testing::Test, protected SlotListener {
 protected:
  void slots_released() noexcept override {}

  NamespaceTable names_;
  const Namespace name_ = *names_.intern("t::p::w::task");
  const Pipelines pipelines_{name_};
  int pipeline_ = 0;
  ParkingLot lot_{std::chrono::seconds(1)};
};

TEST_F(ParkingLotTest, ATaskOfAPipelineCostsAtMost64Bytes) {
  if (LEAT_WEIGHS_HEAP == 0) GTEST_SKIP() << "malloc belongs to the sanitizer, or is not glibc's";
  constexpr std::int64_t kTasks = 100'000;
  const TaskReadyEvent event = pipelines_.event_of(&pipeline_, 7);
  const std::int64_t before = heap_bytes();
  for (std::int64_t i = 0; i < kTasks; ++i) lot_.push({event, i});
  const std::int64_t bytes = heap_bytes() - before;
  RecordProperty("bytes_per_task", std::to_string(bytes / kTasks));
  EXPECT_GT(bytes, kTasks * std::int64_t{sizeof(ParkedTask)});
  EXPECT_LE(bytes, kTasks * 64);
}

TEST_F(ParkingLotTest, ATaskOfAPipelineComesOutWithTheAttemptThatItWasParkedWith) {
  TaskReadyEvent event = pipelines_.event_of(&pipeline_, 7);
  event.attempt = 2;
  event.adopts = true;
  lot_.push({event, 42});
  const std::vector<ParkedTask> all = lot_.take_all();
  ASSERT_EQ(all.size(), 1U);
  const QueuedTask task = all.front().unpack(pipelines_);
  EXPECT_EQ(task.event.attempt, 2);
  EXPECT_EQ(task.event.task_number, 7U);
  EXPECT_EQ(task.event.origin, &pipeline_);
  EXPECT_TRUE(task.event.adopts);
  EXPECT_EQ(task.admitted_ns, 42);
}

TEST_F(ParkingLotTest, ATaskDispatchedAloneComesOutWhole) {
  TaskReadyEvent event;
  event.pipeline_execution_id = Uuid::make_v7(1, 2, 3);
  event.task_namespace = name_;
  event.attempt = 2;
  event.max_attempts = 5;
  lot_.push({event, 42});
  Capacity capacity(1, *this);
  Slots slot;
  const auto parked = lot_.pop(capacity, slot);
  ASSERT_TRUE(parked);
  EXPECT_EQ(slot.count(), 1U);
  const QueuedTask task = parked->unpack(pipelines_);
  EXPECT_EQ(task.event.pipeline_execution_id, event.pipeline_execution_id);
  EXPECT_EQ(task.event.task_namespace, name_);
  EXPECT_EQ(task.event.attempt, 2);
  EXPECT_EQ(task.event.max_attempts, 5);
  EXPECT_EQ(task.event.origin, nullptr);
}

}  // namespace
}  // namespace leat
