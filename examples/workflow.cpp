// A durable workflow: three tasks, a retry, and contexts that hand results on. Kill it in the middle and
// start it again: what was completed does not run twice.
#include <leat/leat.h>

#include <cstdio>
#include <string>

namespace {

std::expected<void, leat::TaskError> extract(leat::TaskContext& task) {
  if (task.attempt() == 1) return std::unexpected("the source is busy");  // the retry policy tries again
  task.set("rows", 3);
  return {};
}

std::expected<void, leat::TaskError> load(leat::TaskContext& task) {
  const auto rows = task.get<std::int64_t>("rows");
  if (!rows) return std::unexpected(leat::TaskError("extract left no rows").for_good());
  task.set("loaded", *rows * 2);
  return {};
}

int fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  const auto etl = leat::Workflow::builder("etl")
                       .task("extract", &extract, {.retry = {.max_attempts = 3, .initial = 1ms}})
                       .task("transform", [](leat::TaskContext& task) { task.set("clean", true); },
                             {.after = {"extract"}})
                       .task("load", &load, {.after = {"transform"}, .timeout = 10s})
                       .build();
  if (!etl) return fail(etl.error().message);

  auto runner = leat::Runner::builder().database_url(argc > 1 ? argv[1] : "rocksdb://./leat.db").build();
  if (!runner) return fail(runner.error().message);
  if (auto registered = runner->register_workflow(*etl); !registered) return fail(registered.error().message);
  if (auto started = runner->start(); !started) return fail(started.error().message);

  const auto pipeline = runner->submit(*etl);  // returns once the submission has survived a power cut
  if (!pipeline) return fail(pipeline.error().message);
  const auto result = pipeline->wait();
  if (!result) return fail(result.error().message);
  std::printf("%s: %s %s\n", pipeline->id().to_string().c_str(),
              std::string(to_string(result->state)).c_str(), result->context.c_str());
  return result->context == R"({"clean":true,"loaded":6,"rows":3})" ? 0 : 1;
}
