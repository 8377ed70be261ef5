// The JSON form of trigger rules: the original's, with the plain words and snake_case besides.
#include <array>
#include <cstddef>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "json_value.h"
#include "leat/trigger_rule.h"
#include "trigger_rule_node.h"

namespace leat {
namespace {

using namespace std::string_view_literals;
using Kind = TriggerRule::Kind;
using Result = std::expected<TriggerRule, Error>;

/// By Kind. AllDone is written as the original's "Always" and read as both.
constexpr std::array kKindNames = {"AllSuccess"sv, "Always"sv,      "OneSuccess"sv,  "NoneFailed"sv,
                                   "All"sv,        "Any"sv,         "None"sv,        "TaskSuccess"sv,
                                   "TaskFailed"sv, "TaskSkipped"sv, "ContextValue"sv};
constexpr std::array kOperatorNames = {"Equals"sv,   "NotEquals"sv,   "GreaterThan"sv, "LessThan"sv,
                                       "Contains"sv, "NotContains"sv, "Exists"sv,      "NotExists"sv};
constexpr std::string_view kPlainWords = "all_success, all_done, one_success, none_failed";

std::unexpected<Error> invalid(std::string message) {
  return std::unexpected(Error{ErrorCode::InvalidArgument, "trigger rule: " + std::move(message)});
}

/// "greater_than" -> "GreaterThan"; what is spelled so already stays.
std::string pascal_case(std::string_view word) {
  std::string pascal;
  bool capital = true;
  for (const char c : word) {
    if (c != '_') pascal += capital && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    capital = c == '_';
  }
  return pascal;
}

template <class Enum>
std::optional<Enum> find_name(std::span<const std::string_view> names, std::string_view word) {
  const std::string name = pascal_case(word);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

std::optional<Kind> find_kind(std::string_view word) {
  if (pascal_case(word) == "AllDone") return Kind::AllDone;
  return find_name<Kind>(kKindNames, word);
}

std::optional<TriggerRule> plain_rule(std::optional<Kind> kind) {
  if (kind == Kind::AllSuccess) return TriggerRule::all_success();
  if (kind == Kind::AllDone) return TriggerRule::all_done();
  if (kind == Kind::OneSuccess) return TriggerRule::one_success();
  if (kind == Kind::NoneFailed) return TriggerRule::none_failed();
  return std::nullopt;
}

Result read_word(std::string_view word) {
  if (auto rule = plain_rule(find_kind(word))) return *rule;
  return invalid(fmt::format("'{}' is unknown; accepted are {}, or a JSON object with \"type\"",
                             word.substr(0, 64), kPlainWords));
}

/// @return the member as a text; null: absent, or not a text
const std::string* text_member(const Json& object, const char* name) {
  const auto member = object.find(name);
  return member == object.end() ? nullptr : member->get_ptr<const std::string*>();
}

Result read(const Json& value, std::size_t depth);

Result read_group(const Json& object, Kind kind, std::size_t depth) {
  const auto list = object.find("conditions");
  const std::string_view name = kKindNames[static_cast<std::size_t>(kind)];
  if (list == object.end() || !list->is_array())
    return invalid(fmt::format("{} needs \"conditions\": [..]", name));
  std::vector<TriggerRule> conditions;
  conditions.reserve(list->size());
  for (const Json& item : *list) {
    auto condition = read(item, depth + 1);
    if (!condition) return condition;
    conditions.push_back(std::move(*condition));
  }
  if (kind == Kind::All) return TriggerRule::all(std::move(conditions));
  if (kind == Kind::Any) return TriggerRule::any(std::move(conditions));
  return TriggerRule::none(std::move(conditions));
}

Result read_task(const Json& object, Kind kind) {
  const std::string* name = text_member(object, "task_name");
  if (name == nullptr || name->empty()) {
    return invalid(fmt::format("{} needs \"task_name\": \"..\"", kKindNames[static_cast<std::size_t>(kind)]));
  }
  if (kind == Kind::TaskSuccess) return TriggerRule::task_success(*name);
  if (kind == Kind::TaskFailed) return TriggerRule::task_failed(*name);
  return TriggerRule::task_skipped(*name);
}

Result read_context_value(const Json& object) {
  const std::string* key = text_member(object, "key");
  if (key == nullptr) return invalid("ContextValue needs \"key\": \"..\"");
  const std::string* word = text_member(object, "operator");
  const auto op = word == nullptr ? std::nullopt : find_name<TriggerOperator>(kOperatorNames, *word);
  if (!op)
    return invalid(
        fmt::format("ContextValue needs \"operator\": one of {}", fmt::join(kOperatorNames, ", ")));
  const bool is_unary = *op == TriggerOperator::Exists || *op == TriggerOperator::NotExists;
  const auto value = object.find("value");
  if (value == object.end() && !is_unary) return invalid(fmt::format("{} needs \"value\"", to_string(*op)));
  return TriggerRule::context_value(*key, *op, value == object.end() ? "null" : json_text(*value));
}

Result read(const Json& value, std::size_t depth) {
  if (depth > kTriggerDepthMax) return invalid(fmt::format("nested deeper than {} levels", kTriggerDepthMax));
  if (const auto* word = value.get_ptr<const std::string*>()) return read_word(*word);
  const std::string* type = value.is_object() ? text_member(value, "type") : nullptr;
  const auto kind = type == nullptr ? std::nullopt : find_kind(*type);
  if (!kind) return invalid(fmt::format("\"type\" must be one of {}", fmt::join(kKindNames, ", ")));
  if (auto rule = plain_rule(kind)) return *rule;
  switch (*kind) {
    case Kind::All:
    case Kind::Any:
    case Kind::None:
      return read_group(value, *kind, depth);
    case Kind::ContextValue:
      return read_context_value(value);
    default:
      return read_task(value, *kind);
  }
}

Json write(const TriggerRule& rule) {
  Json object = {{"type", kKindNames[static_cast<std::size_t>(rule.kind())]}};
  const auto* node = TriggerReader::node(rule);
  if (node == nullptr) return object;
  switch (rule.kind()) {
    case Kind::All:
    case Kind::Any:
    case Kind::None:
      object["conditions"] = Json::array();
      for (const TriggerRule& condition : node->conditions) object["conditions"].push_back(write(condition));
      break;
    case Kind::ContextValue:
      object["key"] = node->name;
      object["operator"] = to_string(node->op);
      object["value"] = node->value;
      break;
    default:
      object["task_name"] = node->name;
      break;
  }
  return object;
}

}  // namespace

std::string_view to_string(TriggerOperator op) noexcept {
  return kOperatorNames[static_cast<std::size_t>(op)];
}

std::expected<TriggerRule, Error> TriggerRule::parse(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos || (text[begin] != '{' && text[begin] != '"')) return read_word(text);
  const auto value = parse_json(text);
  if (!value) return invalid(value.error().message);
  return read(*value, 1);
}

std::string TriggerRule::to_json() const {
  return json_text(write(*this));
}

}  // namespace leat
