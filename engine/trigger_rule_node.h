// What stands behind a trigger rule that is more than a plain word, shared by its evaluation and
// its JSON form.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "json_value.h"
#include "leat/trigger_rule.h"

namespace leat {

struct TriggerRule::Node {
  std::string name = {};  ///< TaskSuccess, TaskFailed, TaskSkipped: the task; ContextValue: the key
  TriggerOperator op = TriggerOperator::Equals;
  Json value = nullptr;
  std::vector<TriggerRule> conditions = {};  ///< All, Any, None
  std::size_t depth = 1;
  bool needs_context = false;
};

/// The nodes of a rule, for the engine's own files.
class TriggerReader {
 public:
  /// @return null for the four plain rules
  static const TriggerRule::Node* node(const TriggerRule& rule) noexcept { return rule.node_.get(); }
};

}  // namespace leat
