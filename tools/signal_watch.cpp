#include "signal_watch.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace leat::tools {
namespace {

sigset_t termination_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void block_termination_signals() {
  const sigset_t signals = termination_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

SignalWatch::SignalWatch(std::function<void(int)> on_signal)
    : on_signal_(std::move(on_signal)), thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "leat-signals");
}

SignalWatch::~SignalWatch() {
  done_.store(true, std::memory_order_release);  // (3) pairs with (4): the wake-up below is not a user's
  // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread): blocked everywhere, and its sigwait() takes it
  ::pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void SignalWatch::run() {
  const sigset_t signals = termination_signals();
  int signal = 0;
  ::sigwait(&signals, &signal);
  if (done_.load(std::memory_order_acquire)) return;   // (4) pairs with (3)
  received_.store(signal, std::memory_order_release);  // (2) pairs with (1)
  on_signal_(signal);
}

}  // namespace leat::tools
