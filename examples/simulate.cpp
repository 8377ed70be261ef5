// The simulator finds a task that is not idempotent: it charges a card, and a crash between the charge and
// the moment at which its end is durable makes it charge again. The cure is a key that the bank knows the
// order by.
#include <leat/sim.h>

#include <cstdio>
#include <set>
#include <string>

namespace {

/// A bank, outside of the engine: it survives the crashes of whoever calls it.
struct Bank {
  int charged = 0;
  std::set<std::string> orders;

  void charge() { ++charged; }
  void charge_once(const std::string& order) {
    if (orders.insert(order).second) ++charged;
  }
};

template <class Charge>
leat::sim::Report explore(Bank& bank, Charge&& charge) {
  const auto order = leat::Workflow::builder("order")
                         .task("reserve", [](leat::TaskContext& task) { task.set("reserved", true); })
                         .task("charge", charge, {.after = {"reserve"}})
                         .task("ship", [](leat::TaskContext&) {}, {.after = {"charge"}})
                         .build();
  const leat::sim::Options options{
      .seeds = 10'000, .faults = leat::sim::all, .pipelines = 1, .reset = [&bank] { bank = Bank(); }};
  return leat::sim::explore(*order, options, [&bank](const leat::sim::Moment&) -> std::optional<std::string> {
    if (bank.charged > 1) return "the card is charged twice";
    return std::nullopt;
  });
}

}  // namespace

int main() {
  Bank bank;
  const auto naive = explore(bank, [&bank](leat::TaskContext&) { bank.charge(); });
  if (!naive.failure) return 1;
  std::printf("seed %llu: %s\n%s\n", static_cast<unsigned long long>(naive.failure->seed),
              naive.failure->message.c_str(), naive.failure->timeline.c_str());

  const auto careful = explore(bank, [&bank](leat::TaskContext& task) {
    bank.charge_once(task.event().pipeline_execution_id.to_string());
  });
  std::printf("with a key: %llu runs, %llu crashes, nothing found\n",
              static_cast<unsigned long long>(careful.seeds),
              static_cast<unsigned long long>(careful.crashes));
  return careful.failure ? 1 : 0;
}
