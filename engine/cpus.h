// How many CPUs this process may use: its affinity mask, and the quota of its control group.
#pragma once

#include <cstdint>

namespace leat {

/// @return from 1
std::uint32_t usable_cpus() noexcept;

}  // namespace leat
