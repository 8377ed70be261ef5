#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "leat/route_analysis.h"
#include "name_search.h"
#include "route_table.h"
#include "rule_set.h"
#include "split_name.h"

namespace leat {
namespace {

/// One side: its rules, with the default behind them as a rule `**`.
class RuleSet {
 public:
  RuleSet(const RoutingConfig& config, std::vector<Pattern> patterns)
      : patterns_(std::move(patterns)), table_(patterns_), default_rule_(patterns_.size()) {
    for (const RoutingRule& rule : config.rules()) destinations_.push_back(destination_of(rule));
    destinations_.push_back(config.default_key());
    patterns_.push_back(*Pattern::parse("**"));
    for (std::size_t i = 0; i < patterns_.size(); ++i) first_.try_emplace(patterns_[i].text(), i);
  }

  [[nodiscard]] std::size_t size() const { return patterns_.size(); }
  [[nodiscard]] const Pattern& pattern(std::size_t rule) const { return patterns_[rule]; }
  [[nodiscard]] const std::string& destination(std::size_t rule) const { return destinations_[rule]; }

  /// The first rule of this form; size() if there is none.
  [[nodiscard]] std::size_t first_like(const Pattern& pattern) const {
    const auto found = first_.find(pattern.text());
    return found == first_.end() ? size() : found->second;
  }
  [[nodiscard]] std::size_t winner(const std::string& name) const {
    SplitName split;
    (void)split.split(name);  // a name that the search made
    return std::min<std::size_t>(table_.match(split), default_rule_);
  }
  [[nodiscard]] std::optional<std::uint32_t> number(std::size_t rule) const {
    return rule == default_rule_ ? std::nullopt : std::optional(static_cast<std::uint32_t>(rule + 1));
  }

 private:
  std::vector<Pattern> patterns_;
  RouteTable table_;
  std::size_t default_rule_;
  std::vector<std::string> destinations_;
  std::unordered_map<std::string, std::size_t> first_;  // by normal form
};

/// False only if no name matches both: a quick look at their lengths and literal ends.
bool may_meet(const Pattern& a, const Pattern& b) {
  const auto& x = a.segments();
  const auto& y = b.segments();
  if (a.bounded() && b.bounded() && x.size() != y.size()) return false;
  if ((a.bounded() && x.size() < b.segments_min()) || (b.bounded() && y.size() < a.segments_min()))
    return false;
  const auto differ = [](const PatternSegment& s, const PatternSegment& t) {
    return s.kind == SegmentKind::Literal && t.kind == SegmentKind::Literal && s.text != t.text;
  };
  const auto meet_until_run = [&](auto at, const auto& end, auto other, const auto& other_end) {
    for (; at != end && other != other_end; ++at, ++other) {
      if (at->kind == SegmentKind::AnyRun || other->kind == SegmentKind::AnyRun) return true;
      if (differ(*at, *other)) return false;
    }
    return true;
  };
  return meet_until_run(x.begin(), x.end(), y.begin(), y.end()) &&
         meet_until_run(x.rbegin(), x.rend(), y.rbegin(), y.rend());
}

/// Compares each rule of the old set with each of the new one that may follow it in a name.
class Differ {
 public:
  Differ(const RuleSet& before, const RuleSet& after) : before_(before), after_(after) {}

  std::vector<RouteDifference> run() {
    std::vector<std::size_t> first_in_before;
    for (std::size_t j = 0; j < after_.size(); ++j) {
      first_in_before.push_back(before_.first_like(after_.pattern(j)));
    }
    for (std::size_t i = 0; i < before_.size(); ++i) {
      // Where a set has the other's rule further up, that one takes the names: no need to look.
      const std::size_t end = std::min(after_.first_like(before_.pattern(i)) + 1, after_.size());
      for (std::size_t j = 0; j < end; ++j) {
        if (first_in_before[j] >= i && before_.destination(i) != after_.destination(j)) compare(i, j);
      }
    }
    return std::move(differences_);
  }

 private:
  void compare(std::size_t i, std::size_t j) {
    if (!may_meet(before_.pattern(i), after_.pattern(j))) return;
    const Pattern* const all_of[] = {&before_.pattern(i), &after_.pattern(j)};
    // Objections are numbered through both sets.
    const auto pattern = [this](std::uint32_t rule) -> const Pattern& {
      return rule < before_.size() ? before_.pattern(rule) : after_.pattern(rule - before_.size());
    };
    const Witness moved = find_witness(all_of, pattern, [&](const std::string& name) {
      const std::size_t old_winner = before_.winner(name);
      if (old_winner != i) return std::optional(static_cast<std::uint32_t>(old_winner));
      const std::size_t new_winner = after_.winner(name);
      if (new_winner != j) return std::optional(static_cast<std::uint32_t>(before_.size() + new_winner));
      return std::optional<std::uint32_t>();
    });
    if (moved.answer == Answer::None) return;
    differences_.push_back({before_.number(i), after_.number(j), before_.pattern(i).text(),
                            after_.pattern(j).text(), before_.destination(i), after_.destination(j),
                            moved.name});
  }

  const RuleSet& before_;
  const RuleSet& after_;
  std::vector<RouteDifference> differences_;
};

}  // namespace

std::expected<std::vector<RouteDifference>, RouteError> diff(const RoutingConfig& old_config,
                                                             const RoutingConfig& new_config) {
  auto before = parse_rules(old_config);
  if (!before) return std::unexpected(before.error());
  auto after = parse_rules(new_config);
  if (!after) return std::unexpected(after.error());
  const RuleSet old_rules(old_config, *std::move(before));
  const RuleSet new_rules(new_config, *std::move(after));
  return Differ(old_rules, new_rules).run();
}

}  // namespace leat
