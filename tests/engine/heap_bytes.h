// What the process has on the heap, for tests that bound what a thing costs.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define LEAT_WEIGHS_HEAP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define LEAT_WEIGHS_HEAP 0
#endif
#endif
#ifndef LEAT_WEIGHS_HEAP
#define LEAT_WEIGHS_HEAP 1
#endif

namespace leat {

/// Bytes in blocks that are in use, with malloc's own share of them, over all threads' arenas.
inline std::int64_t heap_bytes() {
#if LEAT_WEIGHS_HEAP
  const auto info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#else
  return 0;
#endif
}

}  // namespace leat
