// leat's command line: turns words into option structs and calls the command. The only file that knows CLI11,
// which costs seconds to compile; each command lies in a file of its own and reads its options as a plain
// struct.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "exit_status.h"
#include "route.h"

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
  RouteResolveOptions resolve;
  RouteExplainOptions explain;
  RouteCheckOptions check;
  RouteDiffOptions diff;
  RouteTestOptions test;
};

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

}  // namespace
}  // namespace leat::tools

int main(int argc, char** argv) {
  CLI::App app("leat routes, runs and durably remembers tasks");
  app.require_subcommand(1);
  leat::tools::Command chosen;
  leat::tools::AllOptions all;
  leat::tools::add_route(app, chosen, all);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? leat::tools::kGood : leat::tools::kBadInput;
  }
  return chosen();
}
