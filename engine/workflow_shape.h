// A workflow's definition as the store keeps it.
#pragma once

#include <string>

#include "leat/workflow.h"

namespace leat {

/// The given text and the shape, as <leat/workflow_shape.h> says. A shape that says nothing, or of more than
/// some 1 MiB, is left out. The same for the same version.
std::string definition_to_store(const Workflow& workflow);

}  // namespace leat
