// Workflows whose functions tests choose.
#pragma once

#include <string>
#include <utility>

#include "behaviours.h"

namespace leat::behaviours {

/// Of a workflow: its version does not see functions, so each gets another.
inline std::string next_tag() {
  static int made = 0;
  return std::to_string(++made);
}

template <class F>
Workflow one_task(F&& function, TaskOptions options = {.retry = kOnce}) {
  return *Workflow::builder("w")
              .version_tag(next_tag())
              .task("a", std::forward<F>(function), std::move(options))
              .build();
}

}  // namespace leat::behaviours
