// Tasks that a pipeline takes over, as its creation's record has them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "leat/transition_group.h"

namespace leat {

/// @pre  the bytes are encode_done()'s
std::vector<TaskDone> decode_all_done(std::string_view bytes);
/// encode_done() with marks for the contexts that are to lie apart, as those of the pipeline that takes over.
std::string encode_remembered(std::span<const TaskDone> tasks, std::uint64_t pipeline_no);

}  // namespace leat
