// One turn of a spin loop.
#pragma once

namespace leat::bench {

/// Tells the CPU that this thread spins, where it has a word for that.
inline void cpu_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace leat::bench
