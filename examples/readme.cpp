#include <leat/leat.h>

#include <cstdio>

int main() {
  const auto etl = leat::Workflow::builder("etl")
                       .task("extract", [](leat::TaskContext& task) { task.set("rows", 3); })
                       .task("load", [](leat::TaskContext& task) { task.set("loaded", true); },
                             {.after = {"extract"}, .retry = {.max_attempts = 5}})
                       .build();
  auto runner =
      leat::Runner::builder()
          .database_url("rocksdb://./etl.db")
          .routing_config(leat::RoutingConfig("default").with_rule("*::*::etl::load", "io"))
          .register_executor("io", std::make_shared<leat::ThreadTaskExecutor>(), {.max_concurrent = 4})
          .build();
  if (!etl || !runner || !runner->register_workflow(*etl) || !runner->start()) return 1;
  const auto pipeline = runner->submit(*etl);  // on return, it survives a power cut
  if (!pipeline) return 1;
  const auto result = pipeline->wait();
  if (result) std::printf("%s\n", result->context.c_str());  // {"loaded":true,"rows":3}
  return result && result->state == leat::PipelineState::Completed ? 0 : 1;
}
