// An executor of one's own behind a routing key: it loads a task's context, runs, and saves what it found.
#include <leat/leat.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>

namespace {

class AreaExecutor final : public leat::TaskExecutor {
 public:
  std::expected<leat::ExecutionResult, leat::DispatchError> execute(
      const leat::TaskReadyEvent& event) override {
    const auto text = services().load_context(event);
    if (!text) return leat::ExecutionResult::failed(event.task_execution_id, text.error().message);
    auto context = leat::Context::parse(*text);
    if (!context) return leat::ExecutionResult::failed(event.task_execution_id, context.error().message);
    const auto side = context->get<std::int64_t>("side");
    if (!side) return leat::ExecutionResult::failed(event.task_execution_id, "the context has no side");
    context->set("area", *side * *side);
    if (const auto staged = services().stage_context(event, context->to_json()); !staged) {
      return leat::ExecutionResult::retry(event.task_execution_id, staged.error().message);
    }
    ran_on = std::this_thread::get_id();
    return leat::ExecutionResult::success(event.task_execution_id);
  }
  std::string_view name() const override { return "area"; }

  std::thread::id ran_on;  // of the last task; read after its pipeline has ended
};

int fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  return 1;
}

}  // namespace

int main() {
  const auto executor = std::make_shared<AreaExecutor>();
  auto runner = leat::Runner::builder()
                    .database_url("memory:")
                    .routing_config(leat::RoutingConfig("default").with_rule("*::geometry::**", "areas"))
                    .register_executor("areas", executor, {.max_concurrent = 2})
                    .build();
  if (!runner) return fail(runner.error().message);
  if (auto started = runner->start(); !started) return fail(started.error().message);

  const auto workflow = leat::Workflow::builder("square").package("geometry").task("measure").build();
  if (!workflow) return fail(workflow.error().message);
  const auto pipeline =
      runner->submit(*workflow, {.context = R"({"side":7})", .durability = leat::Durability::Memory});
  if (!pipeline) return fail(pipeline.error().message);
  const auto result = pipeline->wait();
  if (!result) return fail(result.error().message);

  std::printf("%s\n", result->context.c_str());
  if (result->context != R"({"area":49,"side":7})") return fail("not the area of a square");
  if (runner->metrics("areas").total_executed != 1) return fail("the route was not taken");
  if (runner->metrics("default").total_executed != 0) return fail("the default executor ran something");
  return executor->ran_on == std::this_thread::get_id() ? fail("it ran on the submitting thread") : 0;
}
