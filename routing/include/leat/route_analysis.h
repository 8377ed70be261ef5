// What a set of routing rules does, told to a person: why a name goes where it goes, which rules are
// useless, which names a new set of rules would send elsewhere. Slow and allocating; never on a task's way.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "leat/route_error.h"
#include "leat/routing_config.h"

namespace leat {

/// A rule that does not match a name, and why.
struct RuleMismatch {
  std::uint32_t rule;     ///< from 1
  std::uint32_t segment;  ///< first segment of the pattern, from 1, that no part of the name can satisfy
  std::string reason;
};

/// Why a name goes where it goes.
struct Explanation {
  std::optional<std::uint32_t> winner;       ///< rule, from 1; none: the default key
  std::string destination;                   ///< executor key, or the shares of a split rule
  std::vector<std::uint32_t> also_matching;  ///< later rules that match as well, from 1
  std::vector<RuleMismatch> mismatches;      ///< all other rules, in order
};

/// Explains where `name` goes.
///
/// @return  the explanation, or what is wrong with a rule or with the name
/// Complexity: every rule is looked at.
[[nodiscard]] std::expected<Explanation, RouteError> explain(const RoutingConfig& config,
                                                             std::string_view name);

enum class FindingKind : std::uint8_t {
  Duplicate,     ///< an earlier rule has the same pattern, or one that means the same
  Shadowed,      ///< whatever it matches, earlier rules take
  NeverMatches,  ///< it matches no namespace of four segments, so no task
  SingleColon,   ///< `:` is an ordinary character; `::` may have been meant
  UnroutedKey,   ///< an executor's key that no rule names
  Undecided,     ///< the search for a name that only this rule takes was given up
};

/// @return the word that tools print: "shadowed"
[[nodiscard]] std::string_view to_string(FindingKind kind) noexcept;

/// One thing about a set of rules that its author will want to know.
struct RouteFinding {
  FindingKind kind;
  std::optional<std::uint32_t> rule;  ///< from 1; none for UnroutedKey
  std::vector<std::uint32_t> causes;  ///< Duplicate, Shadowed: the earlier rules, from 1
  std::string witness;  ///< a name that shows it (see message); empty for UnroutedKey, Undecided
  std::string message;  ///< one line
};

/// Finds the rules that cannot do what their author meant. There is no false alarm: where the bounded
/// search does not come to an end, the finding says Undecided.
///
/// @param executor_keys  keys that have an executor, for UnroutedKey; may be empty
/// @return               findings in the order of the rules, or what is wrong with a rule
[[nodiscard]] std::expected<std::vector<RouteFinding>, RouteError> lint(
    const RoutingConfig& config, std::span<const std::string> executor_keys = {});

/// Names that two sets of rules send to different places: those that `from_rule` takes in the old set
/// and `to_rule` in the new one.
struct RouteDifference {
  std::optional<std::uint32_t> from_rule;  ///< in the old set, from 1; none: its default
  std::optional<std::uint32_t> to_rule;    ///< in the new set, from 1; none: its default
  std::string from_pattern;                ///< `**` for the default
  std::string to_pattern;
  std::string from;  ///< destination in the old set
  std::string to;
  std::string witness;  ///< such a name; empty if the search for one was given up
  [[nodiscard]] bool decided() const noexcept { return !witness.empty(); }
};

/// Tells two sets of rules apart by the names that change their destination.
///
/// @return  all such pairs of rules: with a name that shows it, or, where the bounded search was given up,
///          undecided; empty if and only if every name of the old set keeps its destination
[[nodiscard]] std::expected<std::vector<RouteDifference>, RouteError> diff(const RoutingConfig& old_config,
                                                                           const RoutingConfig& new_config);

/// Checks that every key that a rule or the default names has an executor.
///
/// @return  nothing, or UnknownKey with the rule, the key and the known keys in its message
[[nodiscard]] std::expected<void, RouteError> check_keys(const RoutingConfig& config,
                                                         std::span<const std::string> executor_keys);

}  // namespace leat
