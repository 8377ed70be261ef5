// Random and large workflows against a plain model of reachability.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "leat/workflow.h"
#include "seed.h"

namespace leat {
namespace {

void nothing(TaskContext&) {}

/// reach[a][b]: b waits for a, directly or not.
using Reach = std::vector<std::vector<bool>>;

struct Graph {
  std::vector<std::vector<std::uint32_t>> after;

  std::size_t size() const { return after.size(); }

  Workflow::Builder builder() const {
    auto builder = Workflow::builder("random");
    for (std::size_t i = 0; i < size(); ++i) {
      TaskOptions options;
      for (const std::uint32_t dependency : after[i])
        options.after.push_back("t" + std::to_string(dependency));
      builder.task("t" + std::to_string(i), nothing, std::move(options));
    }
    return builder;
  }

  /// Source: Warshall, "A theorem on boolean matrices", JACM 9 (1962).
  Reach reach() const {
    Reach reach(size(), std::vector<bool>(size()));
    for (std::size_t i = 0; i < size(); ++i) {
      for (const std::uint32_t dependency : after[i]) reach[dependency][i] = true;
    }
    for (std::size_t k = 0; k < size(); ++k) {
      for (std::size_t i = 0; i < size(); ++i) {
        for (std::size_t j = 0; reach[i][k] && j < size(); ++j) reach[i][j] = reach[i][j] || reach[k][j];
      }
    }
    return reach;
  }
};

/// @param acyclic  whether edges go along a hidden random order only
Graph random_graph(std::mt19937_64& random, bool acyclic) {
  Graph graph;
  graph.after.resize(1 + pick(random, 14));
  const auto size = static_cast<std::uint32_t>(graph.size());
  std::vector<std::uint32_t> rank(size);
  for (std::uint32_t i = 0; i < size; ++i) rank[i] = i;
  std::ranges::shuffle(rank, random);
  for (std::uint32_t i = 0; i < size; ++i) {
    for (std::uint32_t j = 0; j < size; ++j) {
      if (pick(random, 5) == 0 && (acyclic ? rank[j] < rank[i] : pick(random, 3) == 0))
        graph.after[i].push_back(j);
    }
    std::ranges::shuffle(graph.after[i], random);
  }
  return graph;
}

/// "... : t1 -> t2 -> t1" -> {1, 2, 1}
std::vector<std::uint32_t> cycle_of(const std::string& message) {
  std::istringstream words(message.substr(message.find(": ") + 2));
  std::vector<std::uint32_t> cycle;
  for (std::string word; words >> word;) {
    if (word != "->") cycle.push_back(static_cast<std::uint32_t>(std::stoul(word.substr(1))));
  }
  return cycle;
}

void check_cycle(const Graph& graph, const WorkflowError& error) {
  ASSERT_EQ(error.code, WorkflowErrorCode::CyclicDependency);
  const auto cycle = cycle_of(error.message);
  ASSERT_GE(cycle.size(), 2u) << error.message;
  ASSERT_EQ(cycle.front(), cycle.back()) << error.message;
  ASSERT_EQ(std::set(cycle.begin(), cycle.end()).size(), cycle.size() - 1) << error.message;
  for (std::size_t i = 1; i < cycle.size(); ++i) {
    ASSERT_EQ(std::ranges::count(graph.after[cycle[i]], cycle[i - 1]), 1) << error.message;
  }
}

void check_graph(const Graph& graph, const Reach& reach, const Workflow& workflow) {
  const auto size = static_cast<std::uint32_t>(graph.size());
  std::vector<std::uint32_t> place(size);
  const auto order = workflow.topological_order();
  ASSERT_EQ(std::set(order.begin(), order.end()).size(), size);
  for (std::uint32_t i = 0; i < size; ++i) place[order[i]] = i;
  std::vector<std::uint32_t> level(size);
  const auto levels = workflow.levels();
  for (std::uint32_t i = 0; i < levels.size(); ++i) {
    ASSERT_TRUE(std::ranges::is_sorted(levels[i]));
    for (const std::uint32_t task : levels[i]) level[task] = i;
  }
  for (std::uint32_t i = 0; i < size; ++i) {
    const TaskDefinition& task = workflow.tasks()[i];
    ASSERT_TRUE(std::ranges::equal(task.after, graph.after[i]));
    ASSERT_EQ(std::ranges::count(workflow.roots(), i), graph.after[i].empty() ? 1 : 0);
    std::vector<std::uint32_t> successors;
    std::vector<std::uint32_t> upstream;
    std::uint32_t expected_level = 0;
    for (std::uint32_t j = 0; j < size; ++j) {
      if (std::ranges::count(graph.after[j], i) == 1) successors.push_back(j);
      if (i == j || reach[j][i]) upstream.push_back(j);
      if (reach[j][i]) {
        ASSERT_LT(place[j], place[i]);
        expected_level = std::max(expected_level, level[j] + 1);
      }
      ASSERT_EQ(workflow.are_parallel(i, j), i != j && !reach[i][j] && !reach[j][i]);
    }
    ASSERT_TRUE(std::ranges::equal(task.successors, successors));
    ASSERT_EQ(workflow.subgraph(i), upstream);
    ASSERT_EQ(level[i], expected_level);
  }
}

TEST(RandomWorkflows, AgreeWithTheModel) {
  auto random = seeded_generator();
  int refused = 0;
  for (int i = 0; i < 2'000; ++i) {
    const Graph graph = random_graph(random, i % 2 == 0);
    const Reach reach = graph.reach();
    bool cyclic = false;
    for (std::size_t t = 0; t < graph.size(); ++t) cyclic = cyclic || reach[t][t];
    const auto workflow = graph.builder().build();
    ASSERT_EQ(workflow.has_value(), !cyclic);
    if (cyclic) {
      ++refused;
      check_cycle(graph, workflow.error());
    } else {
      check_graph(graph, reach, *workflow);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(refused, 100);
}

TEST(LargeWorkflows, AChainOfAMillionTasksIsWalkedWithoutRecursion) {
  auto builder = Workflow::builder("chain");
  builder.task("0", nothing);
  constexpr std::uint32_t kTasks = kWorkflowTasksMax;
  for (std::uint32_t i = 1; i < kTasks; ++i) {
    builder.task(std::to_string(i), nothing, {.after = {std::to_string(i - 1)}});
  }
  const auto workflow = builder.build();
  ASSERT_TRUE(workflow) << workflow.error().message;
  EXPECT_EQ(workflow->levels().size(), kTasks);
  EXPECT_EQ(workflow->subgraph(kTasks - 1).size(), kTasks);
  EXPECT_FALSE(workflow->are_parallel(0, kTasks - 1));
  const auto over = builder.task("one more", nothing).build();
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, WorkflowErrorCode::LimitExceeded);
}

TEST(LargeWorkflows, AMillionEdgesComeOutAsTheyWentIn) {
  constexpr std::uint32_t kTasks = 100'000;
  constexpr std::uint32_t kDependencies = 10;
  auto builder = Workflow::builder("wide");
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    TaskOptions options;
    for (std::uint32_t d = 1; d <= kDependencies && d <= i; ++d)
      options.after.push_back(std::to_string(i - d));
    builder.task(std::to_string(i), nothing, std::move(options));
  }
  const auto workflow = builder.build();
  ASSERT_TRUE(workflow) << workflow.error().message;
  for (std::uint32_t i = kDependencies; i + kDependencies < kTasks; ++i) {
    ASSERT_EQ(workflow->tasks()[i].after.size(), kDependencies);
    ASSERT_EQ(workflow->tasks()[i].after[0], i - 1);
    ASSERT_EQ(workflow->tasks()[i].successors.size(), kDependencies);
    ASSERT_EQ(workflow->tasks()[i].successors[0], i + 1);
  }
}

}  // namespace
}  // namespace leat
