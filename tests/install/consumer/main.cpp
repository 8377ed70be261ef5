#include <leat/leat.h>

#include <cstdio>

int main() {
  auto hello =
      leat::Workflow::builder("hello")
          .task("ask", [](leat::TaskContext& task) { task.set("name", "world"); })
          .task("greet",
                [](leat::TaskContext& task) {
                  std::printf("hello, %s\n", task.get<std::string>("name").value_or("nobody").c_str());
                },
                {.after = {"ask"}})
          .build();
  auto runner = leat::Runner::builder().database_url("rocksdb://./hello.db").build();
  if (!hello || !runner || !runner->start()) return 1;
  auto pipeline = runner->submit(*hello);  // on return, the pipeline survives a power cut
  if (!pipeline) return 1;
  auto result = pipeline->wait();
  return result && result->state == leat::PipelineState::Completed ? 0 : 1;
}
