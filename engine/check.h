// LEAT_CHECK: an invariant whose breach means that going on would be worse than ending. Active
// in every build.
#pragma once

#include <cstdio>
#include <cstdlib>

#ifndef LEAT_CHECK
#define LEAT_CHECK(condition)                                                                      \
  do {                                                                                             \
    if (!(condition)) [[unlikely]] {                                                               \
      std::fprintf(stderr, "%s:%d: leat: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                \
    }                                                                                              \
  } while (false)
#endif
