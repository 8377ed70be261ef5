#include "leat/trigger_rule.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "json_value.h"
#include "trigger_rule_node.h"

namespace leat {
namespace {

/// A rule's JSON form nests an object and an array a level, and must stay readable with the value inside.
constexpr std::size_t kValueDepthMax = kJsonDepthMax - 2 * kTriggerDepthMax;

bool has_item(const Json& whole, const Json& part) {
  if (whole.is_string() && part.is_string()) {
    return whole.get_ref<const std::string&>().find(part.get_ref<const std::string&>()) != std::string::npos;
  }
  return whole.is_array() &&
         std::ranges::any_of(whole, [&](const Json& item) { return json_equal(item, part); });
}

/// @param found  null: the key is absent
bool holds(const Json* found, TriggerOperator op, const Json& value) {
  switch (op) {
    case TriggerOperator::Equals:
      return found != nullptr && json_equal(*found, value);
    case TriggerOperator::NotEquals:
      return found == nullptr || !json_equal(*found, value);
    case TriggerOperator::GreaterThan:
      return found != nullptr && compare_numbers(*found, value) > 0;
    case TriggerOperator::LessThan:
      return found != nullptr && compare_numbers(*found, value) < 0;
    case TriggerOperator::Contains:
      return found != nullptr && has_item(*found, value);
    case TriggerOperator::NotContains:
      return found == nullptr || !has_item(*found, value);
    case TriggerOperator::Exists:
      return found != nullptr;
    case TriggerOperator::NotExists:
      return found == nullptr;
  }
  return false;
}

/// One evaluation: remembers the context once it is loaded.
class Evaluation {
 public:
  explicit Evaluation(const TriggerFacts& facts) noexcept : facts_(facts) {}

  std::expected<bool, Error> verdict(const TriggerRule& rule) {
    if (const auto plain = rule.decide(facts_.counts)) return *plain;
    const auto& node = *TriggerReader::node(rule);
    switch (rule.kind()) {
      case TriggerRule::Kind::All:
        return decided_by(node.conditions, false, false);
      case TriggerRule::Kind::Any:
        return decided_by(node.conditions, true, true);
      case TriggerRule::Kind::None:
        return decided_by(node.conditions, true, false);
      case TriggerRule::Kind::TaskSuccess:
        return facts_.state_of(node.name) == TaskState::Completed;
      case TriggerRule::Kind::TaskFailed:
        return facts_.state_of(node.name) == TaskState::Failed;
      case TriggerRule::Kind::TaskSkipped:
        return facts_.state_of(node.name) == TaskState::Skipped;
      default:
        break;
    }
    if (context_ == nullptr) {
      const auto loaded = facts_.load_context();
      if (!loaded) return std::unexpected(loaded.error());
      context_ = *loaded;
    }
    return holds(ContextReader::find(*context_, node.name), node.op, node.value);
  }

 private:
  /// The first condition that is `decisive` makes it `outcome`; none: the opposite.
  std::expected<bool, Error> decided_by(const std::vector<TriggerRule>& conditions, bool decisive,
                                        bool outcome) {
    for (const TriggerRule& condition : conditions) {
      auto one = verdict(condition);
      if (!one) return one;
      if (*one == decisive) return outcome;
    }
    return !outcome;
  }

  const TriggerFacts& facts_;
  const Context* context_ = nullptr;
};

void collect_names(const TriggerRule& rule, std::vector<std::string_view>& names) {
  const auto* node = TriggerReader::node(rule);
  if (node == nullptr || rule.kind() == TriggerRule::Kind::ContextValue) return;
  if (rule.kind() >= TriggerRule::Kind::TaskSuccess) names.push_back(node->name);
  for (const TriggerRule& condition : node->conditions) collect_names(condition, names);
}

}  // namespace

TriggerRule::TriggerRule(Kind kind, Node node)
    : kind_(kind), node_(std::make_shared<const Node>(std::move(node))) {}

TriggerRule TriggerRule::group(Kind kind, std::vector<TriggerRule> conditions) {
  Node node;
  for (const TriggerRule& condition : conditions) {
    node.depth = std::max(node.depth, condition.depth() + 1);
    node.needs_context |= condition.needs_context();
  }
  node.conditions = std::move(conditions);
  return {kind, std::move(node)};
}

TriggerRule TriggerRule::task_is(Kind kind, std::string task_name) {
  return {kind, Node{.name = std::move(task_name)}};
}

TriggerRule TriggerRule::all_success() noexcept {
  return TriggerRule(Kind::AllSuccess);
}
TriggerRule TriggerRule::all_done() noexcept {
  return TriggerRule(Kind::AllDone);
}
TriggerRule TriggerRule::one_success() noexcept {
  return TriggerRule(Kind::OneSuccess);
}
TriggerRule TriggerRule::none_failed() noexcept {
  return TriggerRule(Kind::NoneFailed);
}
TriggerRule TriggerRule::all(std::vector<TriggerRule> conditions) {
  return group(Kind::All, std::move(conditions));
}
TriggerRule TriggerRule::any(std::vector<TriggerRule> conditions) {
  return group(Kind::Any, std::move(conditions));
}
TriggerRule TriggerRule::none(std::vector<TriggerRule> conditions) {
  return group(Kind::None, std::move(conditions));
}
TriggerRule TriggerRule::task_success(std::string name) {
  return task_is(Kind::TaskSuccess, std::move(name));
}
TriggerRule TriggerRule::task_failed(std::string name) {
  return task_is(Kind::TaskFailed, std::move(name));
}
TriggerRule TriggerRule::task_skipped(std::string name) {
  return task_is(Kind::TaskSkipped, std::move(name));
}

std::expected<TriggerRule, Error> TriggerRule::context_value(std::string key, TriggerOperator op,
                                                             std::string_view value_json) {
  auto value = parse_json(value_json, kValueDepthMax);
  if (!value) return std::unexpected(std::move(value.error()));
  return TriggerRule(
      Kind::ContextValue,
      Node{.name = std::move(key), .op = op, .value = std::move(*value), .needs_context = true});
}

std::size_t TriggerRule::depth() const noexcept {
  return node_ ? node_->depth : 1;
}

bool TriggerRule::needs_context() const noexcept {
  return node_ && node_->needs_context;
}

std::vector<std::string_view> TriggerRule::task_names() const {
  std::vector<std::string_view> names;
  collect_names(*this, names);
  return names;
}

std::optional<bool> TriggerRule::decide(const DependencyCounts& counts) const noexcept {
  const std::uint32_t bad = counts.failed + counts.cancelled;
  switch (kind_) {
    case Kind::AllSuccess:
      return bad + counts.skipped == 0;
    case Kind::AllDone:
      return true;
    case Kind::OneSuccess:
      return counts.completed > 0 || bad + counts.skipped == 0;
    case Kind::NoneFailed:
      return bad == 0;
    default:
      return std::nullopt;
  }
}

std::expected<bool, Error> TriggerRule::evaluate(const TriggerFacts& facts) const {
  if (depth() > kTriggerDepthMax) {
    return std::unexpected(Error{ErrorCode::InvalidArgument,
                                 fmt::format("the rule is nested deeper than {} levels", kTriggerDepthMax)});
  }
  return Evaluation(facts).verdict(*this);
}

}  // namespace leat
