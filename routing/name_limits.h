// How large a pattern or a name may be.
#pragma once

#include <cstddef>

namespace leat {

inline constexpr std::size_t kSegmentsMax = 64;
inline constexpr std::size_t kNameBytesMax = 512;

}  // namespace leat
