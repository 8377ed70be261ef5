// BM_Diamond_TbbFlowGraph*: the same diamond in oneTBB's flow graph, which remembers nothing.
#include <benchmark/benchmark.h>
#include <tbb/flow_graph.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "tally.h"

namespace leat::bench {
namespace {

namespace flow = tbb::flow;

/// setup, three side by side, merge.
class FlowDiamond {
 public:
  FlowDiamond() {
    for (Node& node : middle_) {
      flow::make_edge(setup_, node);
      flow::make_edge(node, merge_);
    }
  }

  void start() { setup_.try_put(flow::continue_msg()); }
  void wait() { graph_.wait_for_all(); }

 private:
  using Node = flow::continue_node<flow::continue_msg>;
  static void count(const flow::continue_msg&) noexcept { Tally::add_one(); }

  flow::graph graph_;
  Node setup_{graph_, count};
  std::array<Node, 3> middle_{Node{graph_, count}, Node{graph_, count}, Node{graph_, count}};
  Node merge_{graph_, count};
};

void finish(benchmark::State& state, std::uint64_t before) {
  if (Tally::total() - before != static_cast<std::uint64_t>(state.iterations()) * 5) {
    state.SkipWithError("tasks were lost");
  }
  state.SetItemsProcessed(state.iterations());
}

/// A new graph for each diamond, as a pipeline is a new instance each time.
void BM_Diamond_TbbFlowGraph(benchmark::State& state) {
  const std::uint64_t before = Tally::total();
  for (auto _ : state) {
    FlowDiamond diamond;
    diamond.start();
    diamond.wait();
  }
  finish(state, before);
}
BENCHMARK(BM_Diamond_TbbFlowGraph)->UseRealTime();

/// One graph, run over and over: the ceiling, for comparison only.
void BM_Diamond_TbbFlowGraphReused(benchmark::State& state) {
  const std::uint64_t before = Tally::total();
  FlowDiamond diamond;
  for (auto _ : state) {
    diamond.start();
    diamond.wait();
  }
  finish(state, before);
}
BENCHMARK(BM_Diamond_TbbFlowGraphReused)->UseRealTime();

}  // namespace
}  // namespace leat::bench
