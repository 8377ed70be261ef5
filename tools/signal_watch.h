// SIGINT and SIGTERM as calls on a thread of our own, where code may do as it likes.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace leat::tools {

/// Blocks both signals in the calling thread and all that it will start;
/// to be called before the first thread.
void block_termination_signals();

/// Waits for the first of the signals on its thread, "leat-signals".
///
/// Thread-safety: received() from any thread.
class SignalWatch {
 public:
  /// @param on_signal  called once, with the signal's number; the destructor waits for its return
  /// @pre   block_termination_signals()
  explicit SignalWatch(std::function<void(int)> on_signal);
  ~SignalWatch();

  /// @return the signal that came; 0: none yet
  int received() const noexcept { return received_.load(std::memory_order_acquire); }  // (1) pairs with (2)

 private:
  void run();

  std::function<void(int)> on_signal_;
  std::atomic<int> received_ = 0;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace leat::tools
