// What a killed process left on the in-flight board: children that still run, and starts that its journal
// does not know.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "leat/in_flight_board.h"
#include "leat/store_image.h"

namespace leat {

/// From this rescue on a task is suspected: it may be what killed its process.
inline constexpr std::uint32_t kSuspectedRescues = 2;

/// Starts that the journal does not know, and adoptions, of which it is told nothing, by pipeline_no.
using UnrecordedStarts = std::unordered_map<std::uint64_t, std::vector<BoardLine::Task>>;

/// Kills the process groups of children that outlived their process, and waits until they are gone, at most
/// five seconds for all.
///
/// @return  how many there were
std::size_t end_orphans(InFlightBoard& board);

/// Clears the lines that say nothing new.
UnrecordedStarts unrecorded_starts(InFlightBoard& board, const StoreImage& image);

/// Whether a Ready task is one that was rescued once too often, and has not run to an end since.
bool is_suspected(const TaskImage& task);

/// Whether recovery will find a suspected task.
bool has_suspects(const StoreImage& image, const UnrecordedStarts& starts);

}  // namespace leat
