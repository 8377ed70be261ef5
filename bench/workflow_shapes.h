// The workflows that BM_*_Leat run: every task does nothing and is counted.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "leat/workflow.h"

namespace leat::bench {

/// setup, three side by side, merge.
Workflow make_diamond();
/// `length` tasks, each after the one before.
Workflow make_chain(std::size_t length);
/// One task, then `width` side by side, then one that waits for them all.
Workflow make_fan_out(std::size_t width);

struct NamedWorkflow {
  std::string name;
  Workflow workflow;
};

/// The recorded workflows (WfFormat 1.5, data/wfinstances/*.json) under the directory that the environment
/// variable LEAT_SHARED_DIR names; without it one DAG of Montage's shape, made here.
std::vector<NamedWorkflow> load_workflow_instances();

}  // namespace leat::bench
