// A std::mutex whose use clang checks while it compiles (-Wthread-safety): what a field's mutex is stands at
// the field, what a function needs held stands at the function. Not installed: no public header has a mutex.
// Source: Clang, "Thread Safety Analysis"; LevelDB's port/thread_annotations.h.
#pragma once

#include <mutex>

#if defined(__clang__)
#define LEAT_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define LEAT_THREAD_ATTRIBUTE(x)  // g++ does not know them
#endif

/// Of a field: touched only while the mutex is held.
#define LEAT_GUARDED_BY(mutex) LEAT_THREAD_ATTRIBUTE(guarded_by(mutex))
/// Of a function: the caller holds the mutex.
#define LEAT_REQUIRES(...) LEAT_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
/// Of a function: the caller holds the mutex, and the function gives it back.
#define LEAT_RELEASE(...) LEAT_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define LEAT_ACQUIRE(...) LEAT_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
/// Of a function that is right for a reason the analysis cannot see; the reason stands beside it.
#define LEAT_UNCHECKED_LOCKING LEAT_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace leat {

/// Not held through its base: who locks a std::mutex& is not seen.
class LEAT_THREAD_ATTRIBUTE(capability("mutex")) Mutex : public std::mutex {
 public:
  void lock() LEAT_ACQUIRE() { std::mutex::lock(); }
  void unlock() LEAT_RELEASE() { std::mutex::unlock(); }
};

/// Holds a mutex from its making to its end, or to unlock(). What std::condition_variable waits with.
class LEAT_THREAD_ATTRIBUTE(scoped_lockable) MutexLock : public std::unique_lock<std::mutex> {
 public:
  explicit MutexLock(Mutex& mutex) LEAT_ACQUIRE(mutex) : std::unique_lock<std::mutex>(mutex) {}
  ~MutexLock() LEAT_RELEASE() = default;

  void lock() LEAT_ACQUIRE() { std::unique_lock<std::mutex>::lock(); }
  void unlock() LEAT_RELEASE() { std::unique_lock<std::mutex>::unlock(); }
};

}  // namespace leat
