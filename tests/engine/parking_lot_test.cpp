// The parking lot: what lies in it costs little, and comes out as it went in.
#include "parking_lot.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "heap_bytes.h"
#include "leat/namespace.h"
#include "seed.h"

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

/// Parks `count` tasks of the tenant.
void park(ParkingLot& lot, NamespaceTable& names, const std::string& tenant, int count) {
  TaskReadyEvent event;
  event.task_namespace = *names.intern(tenant + "::p::w::t");
  for (int i = 0; i < count; ++i) lot.push({event, 0});
}

/// The tenants' names, one letter each, in the order in which they get the next `count` slots.
std::string take(ParkingLot& lot, SlotListener& listener, const Pipelines& pipelines, int count) {
  Capacity capacity(static_cast<std::uint64_t>(count), listener);
  std::vector<Slots> slots(static_cast<std::size_t>(count));
  std::string order;
  for (Slots& slot : slots) {
    const auto parked = lot.pop(capacity, slot);
    if (!parked) break;
    order += parked->unpack(pipelines).event.task_namespace.tenant();
  }
  return order;
}

TEST_F(ParkingLotTest, TenantsTakeTurnsOfTheirWeights) {
  lot_.set_weight("a", 3);
  lot_.set_weight("c", 2);
  for (const char* tenant : {"a", "b", "c"}) park(lot_, names_, tenant, 6);
  EXPECT_EQ(take(lot_, *this, pipelines_, 12), "aaabccaaabcc");
  EXPECT_EQ(take(lot_, *this, pipelines_, 6), "bccbbb") << "whoever has nothing left is left out";
  EXPECT_EQ(take(lot_, *this, pipelines_, 1), "");
}

TEST_F(ParkingLotTest, AWeightCountsFromTheTenantsNextTurnOn) {
  for (const char* tenant : {"a", "b"}) park(lot_, names_, tenant, 9);
  EXPECT_EQ(take(lot_, *this, pipelines_, 3), "aba");
  lot_.set_weight("a", 4);
  EXPECT_EQ(take(lot_, *this, pipelines_, 6), "baaaab");
  lot_.set_weight("a", 1);
  EXPECT_EQ(take(lot_, *this, pipelines_, 4), "abab");
}

TEST_F(ParkingLotTest, OverEachRoundTheSharesAreExactWhoeverComesAndGoes) {
  std::mt19937_64 random = seeded_generator();
  const std::vector<std::uint32_t> weights = {1, 2, 5, 7};
  std::vector<std::string> tenants = {"a", "b", "c", "d"};
  for (std::size_t i = 0; i < tenants.size(); ++i) lot_.set_weight(tenants[i], weights[i]);
  std::vector<int> parked(tenants.size(), 0);
  std::vector<int> waited(tenants.size(), 0);  // hand-overs to others since its own last one
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t i = random() % tenants.size();
    if (random() % 2 == 0) {
      const int count = static_cast<int>(random() % 4);
      if (parked[i] == 0) waited[i] = 0;
      park(lot_, names_, tenants[i], count);
      parked[i] += count;
      continue;
    }
    const std::string tenant = take(lot_, *this, pipelines_, 1);
    if (tenant.empty()) continue;
    const auto taken = static_cast<std::size_t>(tenant[0] - 'a');
    --parked[taken];
    for (std::size_t other = 0; other < tenants.size(); ++other) {
      waited[other] = other == taken || parked[other] == 0 ? 0 : waited[other] + 1;
      ASSERT_LE(waited[other], 15 - static_cast<int>(weights[other]));
    }
  }
}

}  // namespace
}  // namespace leat
