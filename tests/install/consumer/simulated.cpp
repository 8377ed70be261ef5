#include <leat/sim.h>

int main() {
  const auto workflow = leat::Workflow::builder("w").task("only", [](leat::TaskContext&) {}).build();
  return leat::sim::explore(*workflow, {.seeds = 10}).failure ? 1 : 0;
}
