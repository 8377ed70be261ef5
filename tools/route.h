// `leat route`: asks a file of routing rules where names go, and what is wrong with it. Opens no store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace leat::tools {

/// Prints the executor key of each name, one a line; an invalid name gives an empty line.
struct RouteResolveOptions {
  std::string rules;
  std::optional<std::string> default_key;
  std::string names = "-";   ///< one name a line; "-": standard input
  std::uint64_t sticky = 0;  ///< stands for the pipeline's hash where a rule is split
};

/// Prints why a name goes where it goes.
struct RouteExplainOptions {
  std::string rules;
  std::optional<std::string> default_key;
  std::string name;
};

/// Prints what the lint finds; `strict`: finding something is a failure.
struct RouteCheckOptions {
  std::string rules;
  bool strict = false;
};

/// Prints which names go elsewhere by the new rules.
struct RouteDiffOptions {
  std::string old_rules;
  std::string new_rules;
};

/// Compares `name<TAB>key` cases with the rules, and prints those that fail and the rules that no case
/// covers.
struct RouteTestOptions {
  std::string rules;
  std::optional<std::string> default_key;
  std::string cases;
};

/// Each prints its result on standard output. @return the exit status
int route_resolve(const RouteResolveOptions& options);
int route_explain(const RouteExplainOptions& options);
int route_check(const RouteCheckOptions& options);
int route_diff(const RouteDiffOptions& options);
int route_test(const RouteTestOptions& options);

}  // namespace leat::tools
