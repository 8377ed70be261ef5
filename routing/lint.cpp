#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "leat/route_analysis.h"
#include "leat/router.h"
#include "name_search.h"
#include "route_table.h"
#include "rule_set.h"
#include "split_name.h"

namespace leat {
namespace {

constexpr std::size_t kTaskSegments = 4;

/// Looks at one rule after the other, with the compiled table as the judge of every name.
class Linter {
 public:
  Linter(const RoutingConfig& config, const std::vector<Pattern>& patterns)
      : config_(config), patterns_(patterns), table_(patterns) {}

  std::vector<RouteFinding> run(std::span<const std::string> executor_keys) {
    for (std::uint32_t rule = 0; rule < patterns_.size(); ++rule) {
      check_colons(rule);
      check_segment_count(rule);
      check_shadow(rule);
    }
    check_keys(executor_keys);
    return std::move(findings_);
  }

 private:
  std::uint32_t winner(const std::string& name) const {
    SplitName split;
    return split.split(name) ? RouteTable::kNoRule : table_.match(split);
  }

  /// A name that the rule matches: `*` filled with an x, `**` with nothing.
  std::string example(std::uint32_t rule) const {
    std::string name;
    for (const PatternSegment& segment : patterns_[rule].segments()) {
      if (segment.kind == SegmentKind::AnyRun) continue;
      if (!name.empty()) name += "::";
      name += segment.text;
    }
    std::ranges::replace(name, '*', 'x');
    return name.empty() ? "x" : name;
  }

  void report(FindingKind kind, std::uint32_t rule, std::vector<std::uint32_t> causes, std::string witness,
              const std::string& what) {
    for (std::uint32_t& cause : causes) ++cause;
    std::string message =
        "rule " + std::to_string(rule + 1) + " '" + config_.rules()[rule].pattern + "' " + what;
    findings_.push_back({kind, rule + 1, std::move(causes), std::move(witness), std::move(message)});
  }

  void check_colons(std::uint32_t rule) {
    const auto has_colon = [](const PatternSegment& s) { return s.text.find(':') != std::string::npos; };
    const auto& segments = patterns_[rule].segments();
    const auto segment = std::ranges::find_if(segments, has_colon);
    if (segment == segments.end()) return;
    const std::string name = example(rule);
    report(FindingKind::SingleColon, rule, {}, name,
           "has a single ':' in segment '" + segment->text + "', an ordinary character; it matches '" + name +
               "'");
  }

  void check_segment_count(std::uint32_t rule) {
    const std::size_t least = patterns_[rule].segments_min();
    if (least == kTaskSegments || (least < kTaskSegments && !patterns_[rule].bounded())) return;
    const std::string name = example(rule);
    report(FindingKind::NeverMatches, rule, {}, name,
           std::string("matches no task: a namespace has four segments, and this takes ") +
               (patterns_[rule].bounded() ? "" : "at least ") + std::to_string(least) + ", like '" + name +
               "' ('*' is one segment, '**' any number)");
  }

  void check_shadow(std::uint32_t rule) {
    const auto [same, is_new] = first_of_.emplace(patterns_[rule].text(), rule);
    if (!is_new) {
      const std::string name = example(rule);
      report(FindingKind::Duplicate, rule, {same->second}, name,
             "means the same as rule " + std::to_string(same->second + 1) +
                 ", which takes its names, like '" + name + "'");
      return;
    }
    const Pattern* const all_of[] = {&patterns_[rule]};
    const Witness own = find_witness(
        all_of, [this](std::uint32_t other) -> const Pattern& { return patterns_[other]; },
        [&](const std::string& name) {
          const std::uint32_t first = winner(name);
          return first == rule ? std::nullopt : std::optional(first);
        });
    if (own.answer == Answer::Found) return;
    if (own.answer == Answer::Undecided) {
      return report(FindingKind::Undecided, rule, {}, {},
                    "may never win: no name was found that only it takes");
    }
    const std::string name = example(rule);
    std::string what = "never wins: its names are taken by rule";
    for (const std::uint32_t cause : own.objected) {
      what += (cause == own.objected.front() ? " " : ", ") + std::to_string(cause + 1);
    }
    report(FindingKind::Shadowed, rule, own.objected, name,
           what + ", like '" + name + "' by rule " + std::to_string(winner(name) + 1));
  }

  void check_keys(std::span<const std::string> executor_keys) {
    for (const std::string& key : executor_keys) {
      const auto names = [&](const RoutingRule& rule) {
        return rule.key == key || std::ranges::find(rule.split, key, &Share::key) != rule.split.end();
      };
      if (config_.default_key() == key || std::ranges::any_of(config_.rules(), names)) continue;
      findings_.push_back(
          {FindingKind::UnroutedKey, {}, {}, {}, "no rule leads to the executor key '" + key + "'"});
    }
  }

  const RoutingConfig& config_;
  const std::vector<Pattern>& patterns_;
  const RouteTable table_;
  std::map<std::string, std::uint32_t> first_of_;  // by normal form
  std::vector<RouteFinding> findings_;
};

}  // namespace

std::string_view to_string(FindingKind kind) noexcept {
  switch (kind) {
    case FindingKind::Duplicate:
      return "duplicate";
    case FindingKind::Shadowed:
      return "shadowed";
    case FindingKind::NeverMatches:
      return "never-matches";
    case FindingKind::SingleColon:
      return "single-colon";
    case FindingKind::UnroutedKey:
      return "unrouted-key";
    case FindingKind::Undecided:
      return "undecided";
  }
  return "finding";
}

std::expected<std::vector<RouteFinding>, RouteError> lint(const RoutingConfig& config,
                                                          std::span<const std::string> executor_keys) {
  const auto patterns = parse_rules(config);
  if (!patterns) return std::unexpected(patterns.error());
  return Linter(config, *patterns).run(executor_keys);
}

std::vector<RouteFinding> Router::lint() const {
  return *leat::lint(config());
}

}  // namespace leat
