// `leat inspect pipeline ID`: one pipeline as a tree, each task below the one whose end released it, or the
// first that it still waits for.
#pragma once

#include <string>

#include "leat/store_image.h"
#include "leat/uuid.h"
#include "row_writer.h"
#include "task_times.h"

namespace leat::tools {

/// Writes to standard output.
///
/// @param image   of `store`
/// @param format  a table, which is the tree, or JSON: an object
/// @return        the exit status: kBadInput where it remembers no such pipeline
int inspect_pipeline(const StoreImage& image, const TaskTimes& times, const Uuid& id,
                     const std::string& store, RowFormat format);

}  // namespace leat::tools
