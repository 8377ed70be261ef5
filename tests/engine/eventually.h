// Waits for a condition, with a bound and without sleeping.
#pragma once

#include <chrono>
#include <thread>

namespace leat {

/// @return whether the condition came true within the time
template <class Condition>
bool eventually(const Condition& condition, std::chrono::seconds limit = std::chrono::seconds(30)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return condition();
    std::this_thread::yield();
  }
  return true;
}

}  // namespace leat
