// leat's command line: turns words into option structs and calls the command. The only file that knows CLI11,
// which costs seconds to compile; each command lies in a file of its own and reads its options as a plain
// struct.
#include <CLI/CLI.hpp>
#include <cmath>
#include <functional>
#include <string>

#include "again.h"
#include "exit_status.h"
#include "inspect.h"
#include "resume.h"
#include "retention_text.h"
#include "route.h"
#include "run.h"
#include "torture.h"
#include "torture_life.h"
#include "torture_points.h"
#include "verify.h"

namespace leat::tools {
namespace {

/// What main() calls once the words are understood.
using Command = std::function<int()>;

/// Adds `name` under `parent`; its options fill `options`, with which `run` is then called.
template <class Options>
CLI::App* add_command(CLI::App& parent, Command& chosen, const std::string& name, const std::string& what,
                      Options& options, int (*run)(const Options&)) {
  CLI::App* command = parent.add_subcommand(name, what);
  command->callback([&chosen, &options, run] { chosen = [&options, run] { return run(options); }; });
  return command;
}

/// Every command's options: they live as long as main().
struct AllOptions {
  RunOptions run;
  ResumeOptions resume;
  AgainOptions retry;
  AgainOptions redrive;
  InspectOptions inspect;
  VerifyOptions verify;
  TortureOptions torture;
  TortureLifeOptions torture_life;
  RouteResolveOptions resolve;
  RouteExplainOptions explain;
  RouteCheckOptions check;
  RouteDiffOptions diff;
  RouteTestOptions test;
};

/// @param events_fallback, history_fallback  what holds where nothing is given
void add_retention(CLI::App* command, std::string& events, std::string& history,
                   const std::string& events_fallback, const std::string& history_fallback) {
  const auto is_retention = [](const std::string& text) {
    const auto limits = parse_retention(text);
    return limits ? std::string() : limits.error();
  };
  command
      ->add_option(
          "--keep-events", events,
          "How long transitions stay: 7d, a count, 10GiB, several with commas, or all; older ones go as "
          "the journal grows, those of unfinished pipelines never [" +
              events_fallback + "]")
      ->check(is_retention);
  command
      ->add_option("--keep-history", history,
                   "The same for summaries of finished pipelines [" + history_fallback + "]")
      ->check(is_retention);
}

void add_run(CLI::App& app, Command& chosen, RunOptions& options) {
  CLI::App* command = add_command(app, chosen, "run", "Run workflows to their end", options, run);
  command->add_option("files", options.files, "Workflows: *.toml, or *.json (WfFormat 1.5)")->required();
  command->add_option("--store", options.store, "Directory of the store [./leat.db]");
  command->add_option("--workers", options.workers, "Threads for computing tasks [the usable CPUs]")
      ->check(CLI::Range(1, 4096));
  command->add_option("--time-scale", options.time_scale, "Multiplies sleeps and busy times; 0: at once")
      ->capture_default_str()
      ->check([](const std::string& text) {
        double scale = -1;
        const bool number = CLI::detail::lexical_cast(text, scale) && std::isfinite(scale) && scale >= 0;
        return number ? std::string() : "'" + text + "' is no factor (accepted: 0 or more)";
      });
  command
      ->add_option_function<std::string>(
          "--durability",
          [&options](const std::string& word) { options.durability = *parse_durability(word); },
          "What a kept state survives [disk]")
      ->check(CLI::IsMember({"memory", "process", "disk"}));
  command->add_option("--routes", options.routes, "TOML of routes and executors instead of the files' own");
  command->add_option("--repeat", options.repeat, "Pipelines per file")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  add_retention(command, options.keep_events, options.keep_history, "7d", "all");
  command->add_flag("--json", options.json, "Print one JSON object instead of tables");
}

void add_resume(CLI::App& app, Command& chosen, ResumeOptions& options) {
  CLI::App* command =
      add_command(app, chosen, "resume", "Carry on what earlier runs left unfinished", options, resume);
  command->add_option("--store", options.store, "Directory of the store")->capture_default_str();
  add_retention(command, options.keep_events, options.keep_history, "as the run was told",
                "as the run was told");
  command->add_option("--signal", options.signals,
                      "PIPELINE:NAME[=JSON]: what to tell an unfinished pipeline [true]");
  command->add_flag("--json", options.json, "Print one JSON object instead of tables");
}

void add_again(CLI::App& app, Command& chosen, AllOptions& all) {
  CLI::App* retry = add_command(
      app, chosen, "retry", "Do tasks of a pipeline that has ended again, in a new one", all.retry, again);
  retry->add_option("id", all.retry.pipeline, "Of the pipeline")->required();
  retry->add_option("--from", all.retry.task,
                    "This task and all that depends on it [what failed or was cancelled]");
  all.redrive.redrive = true;
  CLI::App* redrive = add_command(app, chosen, "redrive", "Do a task in quarantine again, in a new pipeline",
                                  all.redrive, again);
  redrive->add_option("id", all.redrive.pipeline, "Of the pipeline")->required();
  redrive->add_option("task", all.redrive.task, "That killed its processes")->required();
  for (const auto& [command, options] : {std::pair{retry, &all.retry}, std::pair{redrive, &all.redrive}}) {
    command->add_option("--store", options->store, "Directory of the store")->capture_default_str();
    command->add_flag("--json", options->json, "Print one JSON object instead of tables");
  }
}

void add_inspect(CLI::App& app, Command& chosen, InspectOptions& options) {
  CLI::App* command =
      add_command(app, chosen, "inspect", "Show what a store remembers; changes nothing", options, inspect);
  command
      ->add_option("what", options.what,
                   "pipelines, tasks, events, pauses, schedules or quarantine; pipeline ID: one as a tree")
      ->capture_default_str()
      ->check(
          CLI::IsMember({"pipelines", "tasks", "events", "pauses", "schedules", "quarantine", "pipeline"}));
  command->add_option("id", options.pipeline, "Of the pipeline");
  command->add_option("--store", options.store, "Directory of the store")->capture_default_str();
  command->add_option("--pipeline", options.words.pipeline, "Only of this ID");
  command->add_option("--state", options.words.state,
                      "Only in this state: pipelines, tasks; events that lead to it");
  command->add_option(
      "--since", options.words.since,
      "Only what ended, or events that came, from 2026-11-23, 2026-11-23T15:00:00Z or 90m ago on");
  command->add_option("--until", options.words.until, "... and before this");
  command
      ->add_option_function<std::string>(
          "--format", [&options](const std::string& word) { options.format = *parse_row_format(word); },
          "How to print it [table]")
      ->check(CLI::IsMember({"table", "csv", "json"}));
}

void add_verify(CLI::App& app, Command& chosen, VerifyOptions& options) {
  CLI::App* command = add_command(app, chosen, "verify", "Prove that a store is whole", options, verify);
  command->add_option("--store", options.store, "Directory of the store")->capture_default_str();
  command->add_flag("--repair", options.repair,
                    "First rebuild what follows from the rest, and say what it was");
  command->add_flag("--json", options.json, "Print one JSON object instead of lines");
}

void add_torture(CLI::App& app, Command& chosen, AllOptions& all) {
  CLI::App* command =
      add_command(app, chosen, "torture", "Kill processes on a store of its own; is anything lost?",
                  all.torture, torture);
  command->add_option("--minutes", all.torture.minutes, "How long; fractions are welcome")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  command->add_option("--store", all.torture.store, "Directory of the store: a new one")->required();
  command->add_option("--seed", all.torture.seed, "Of an earlier run [a new one, printed]");

  TortureLifeOptions& options = all.torture_life;
  CLI::App* life = add_command(app, chosen, "torture-life", "One life of torture", options, torture_life);
  life->group("");  // torture starts it
  life->add_option("--store", options.store)->required();
  life->add_option("--seed", options.seed);
  life->add_option("--die-at", options.die_at)->check(CLI::IsMember(kTorturePoints));
  life->add_option("--die-after", options.die_after);
  life->add_option("--trouble", options.trouble)->check(CLI::IsMember(kTortureTroubles));
  life->add_option("--hours", options.hours);
  life->add_flag("--drain", options.drain);
}

void add_route(CLI::App& app, Command& chosen, AllOptions& all) {
  CLI::App& route = *app.add_subcommand("route", "Ask a file of routing rules where names go");
  route.require_subcommand(1);
  const auto rules = [](CLI::App* command, std::string& path) {
    command->add_option("--rules", path, "Rules: *.toml, or lines pattern<TAB>key")->required();
  };

  CLI::App* resolve = add_command(route, chosen, "resolve", "Print the executor key of each name",
                                  all.resolve, route_resolve);
  rules(resolve, all.resolve.rules);
  resolve->add_option("--default", all.resolve.default_key, "Key of names that no rule matches");
  resolve->add_option("--names", all.resolve.names, "One name a line; - is standard input")
      ->capture_default_str();
  resolve->add_option("--sticky", all.resolve.sticky, "Stands for a pipeline where a rule is split");

  CLI::App* explain = add_command(route, chosen, "explain", "Print why a name goes where it goes",
                                  all.explain, route_explain);
  rules(explain, all.explain.rules);
  explain->add_option("--default", all.explain.default_key, "Key of names that no rule matches");
  explain->add_option("name", all.explain.name, "The name")->required();

  CLI::App* check =
      add_command(route, chosen, "check", "Find rules that cannot do what was meant", all.check, route_check);
  rules(check, all.check.rules);
  check->add_flag("--strict", all.check.strict, "Exit with 1 if something is found");

  CLI::App* diff = add_command(route, chosen, "diff", "Print the names that new rules send elsewhere",
                               all.diff, route_diff);
  diff->add_option("old", all.diff.old_rules, "The rules as they are")->required();
  diff->add_option("new", all.diff.new_rules, "The rules as they shall be")->required();

  CLI::App* test = add_command(route, chosen, "test", "Compare cases with the rules", all.test, route_test);
  rules(test, all.test.rules);
  test->add_option("--default", all.test.default_key, "Key of names that no rule matches");
  test->add_option("--cases", all.test.cases, "Lines name<TAB>key")->required();
}

/// One line that names what is accepted where the error does not.
std::string failure_line(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* command = app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  std::string line = std::string("leat: ") + error.what();
  const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
  if (code == CLI::ExitCodes::ExtrasError || code == CLI::ExitCodes::RequiredError) {
    std::string accepted;
    for (const CLI::App* sub :
         command->get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); })) {
      accepted += (accepted.empty() ? "" : ", ") + sub->get_name();
    }
    for (const CLI::Option* option : command->get_options()) {
      accepted += (accepted.empty() ? "" : ", ") + option->get_name();
    }
    line += " (accepted: " + accepted + ")";
  }
  return line + '\n';
}

}  // namespace
}  // namespace leat::tools

int main(int argc, char** argv) {
  CLI::App app("leat routes, runs and durably remembers tasks");
  app.require_subcommand(1);
  app.failure_message(leat::tools::failure_line);
  leat::tools::Command chosen;
  leat::tools::AllOptions all;
  leat::tools::add_run(app, chosen, all.run);
  leat::tools::add_resume(app, chosen, all.resume);
  leat::tools::add_inspect(app, chosen, all.inspect);
  leat::tools::add_verify(app, chosen, all.verify);
  leat::tools::add_torture(app, chosen, all);
  leat::tools::add_route(app, chosen, all);
  leat::tools::add_again(app, chosen, all);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? leat::tools::kGood : leat::tools::kBadInput;
  }
  return chosen();
}
