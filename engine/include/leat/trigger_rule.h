// Trigger rules: may a task run, now that all its dependencies have ended? Pure: facts in, verdict out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/context.h"
#include "leat/error.h"
#include "leat/states.h"

namespace leat {

/// How deep conditions may be nested; a bare rule has depth 1.
inline constexpr std::size_t kTriggerDepthMax = 32;

/// How a ContextValue condition compares. A key that is absent fails Equals, GreaterThan, LessThan,
/// Contains and Exists, and satisfies their negations.
enum class TriggerOperator : std::uint8_t {
  Equals,  ///< the same JSON value; 1 and 1.0 are not
  NotEquals,
  GreaterThan,  ///< both are numbers; compared by their exact values
  LessThan,
  Contains,  ///< a text has that part, an array has that item
  NotContains,
  Exists,
  NotExists,
};

/// @return the enumerator's name, as the JSON form spells it
std::string_view to_string(TriggerOperator op) noexcept;

/// How the dependencies of one task ended.
struct DependencyCounts {
  std::uint32_t completed = 0;
  std::uint32_t failed = 0;
  std::uint32_t skipped = 0;
  std::uint32_t cancelled = 0;
};

/// What a rule may ask about. The context is loaded only when a condition needs it, at most once in
/// an evaluation.
struct TriggerFacts {
  DependencyCounts counts;
  std::function<TaskState(std::string_view task_name)> state_of;  ///< of a dependency, as the rule names it
  /// What the task itself would see, merged.
  std::function<std::expected<const Context*, Error>()> load_context;
};

/// One rule, or one condition of a rule: a tree, immutable, cheap to copy.
///
/// A task without dependencies runs under the four plain rules. All {} and None {} are true, Any {} is false.
/// ```cpp
/// TriggerRule::none_failed()
/// TriggerRule::all({TriggerRule::task_success("extract"),
///                   *TriggerRule::context_value("rows", TriggerOperator::GreaterThan, "0")})
/// TriggerRule::parse(R"({"type":"Any","conditions":[{"type":"TaskFailed","task_name":"load"}]})")
/// ```
/// Thread-safety: immutable.
class TriggerRule {
 public:
  enum class Kind : std::uint8_t {
    AllSuccess,  ///< every dependency Completed; the default
    AllDone,     ///< always, once the dependencies have ended; "Always" in JSON
    OneSuccess,  ///< at least one dependency Completed
    NoneFailed,  ///< every dependency Completed or Skipped
    All,         ///< all conditions; evaluated left to right as far as needed, as are the next two
    Any,
    None,
    TaskSuccess,  ///< that dependency Completed
    TaskFailed,
    TaskSkipped,
    ContextValue,  ///< the merged context of the dependencies has such a value
  };

  TriggerRule() noexcept = default;  ///< AllSuccess
  static TriggerRule all_success() noexcept;
  static TriggerRule all_done() noexcept;
  static TriggerRule one_success() noexcept;
  static TriggerRule none_failed() noexcept;
  static TriggerRule all(std::vector<TriggerRule> conditions);
  static TriggerRule any(std::vector<TriggerRule> conditions);
  static TriggerRule none(std::vector<TriggerRule> conditions);
  static TriggerRule task_success(std::string task_name);
  static TriggerRule task_failed(std::string task_name);
  static TriggerRule task_skipped(std::string task_name);
  /// @param value_json  JSON text of the value compared with; not looked at by Exists and NotExists
  /// @return            the condition, or InvalidArgument where `value_json` is no JSON
  static std::expected<TriggerRule, Error> context_value(std::string key, TriggerOperator op,
                                                         std::string_view value_json = "null");

  /// Reads a plain word (all_success, all_done, one_success, none_failed) or the JSON form:
  /// {"type":"Always"}, {"type":"All","conditions":[..]} (Any, None),
  /// {"type":"TaskSuccess","task_name":".."} (TaskFailed, TaskSkipped),
  /// {"type":"ContextValue","key":"..","operator":"Equals","value":..}. Types and operators may be spelled
  /// in snake_case too.
  ///
  /// @return the rule, or InvalidArgument that names the part and the accepted values
  static std::expected<TriggerRule, Error> parse(std::string_view text);

  /// The JSON form; parse() gives an equal rule back.
  std::string to_json() const;

  Kind kind() const noexcept { return kind_; }
  std::size_t depth() const noexcept;
  /// @return whether any condition looks at the context
  bool needs_context() const noexcept;
  /// The names of tasks in the rule, from left to right, as often as they occur; valid while the rule lives.
  std::vector<std::string_view> task_names() const;

  /// The verdict of the four plain rules, for which the counts suffice; empty: evaluate() is needed.
  std::optional<bool> decide(const DependencyCounts& counts) const noexcept;

  /// @param facts  `state_of` may stay empty for a rule without task_names(), `load_context` for one that
  ///               does not need the context
  /// @return       true: run; false: skip; an error: the context could not be loaded, the task must fail
  std::expected<bool, Error> evaluate(const TriggerFacts& facts) const;

  friend bool operator==(const TriggerRule& a, const TriggerRule& b) { return a.to_json() == b.to_json(); }

 private:
  struct Node;
  explicit TriggerRule(Kind kind) noexcept : kind_(kind) {}
  TriggerRule(Kind kind, Node node);
  static TriggerRule group(Kind kind, std::vector<TriggerRule> conditions);
  static TriggerRule task_is(Kind kind, std::string task_name);
  friend class TriggerReader;  // the engine's own look at the nodes

  Kind kind_ = Kind::AllSuccess;
  std::shared_ptr<const Node> node_;  // null for the four plain rules
};

}  // namespace leat
