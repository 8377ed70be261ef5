// BM_Latency_*: how long a task waits from submit to start on peers whose workers are idle.
#include "asio_pool.h"
#include "futex_mailbox.h"
#include "latency_bench.h"
#include "moodycamel_pool.h"
#include "mutex_pool.h"
#include "tbb_pool.h"

namespace leat::bench {
namespace {

template <class Pool>
void run_peer(benchmark::State& state, std::chrono::microseconds period) {
  StartStamp stamp;
  Pool pool(1);
  typename Pool::Producer producer(pool);
  run_latency(state, period, stamp, [&] { producer.submit(StampingTask{&stamp}, 1); });
}

using SpinningMoodycamelPool = MoodycamelPool<StampingTask, FixedEvent, MoodycamelWait::Spinning>;

[[maybe_unused]] const bool kRegistered = [] {
  register_latency("RawFutex", "/idle:park", run_peer<FutexMailbox<StampingTask, MailboxWait::Park>>);
  register_latency("RawFutex", "/idle:spin", run_peer<FutexMailbox<StampingTask, MailboxWait::Spin>>);
  register_latency("MutexPool", "/idle:park", run_peer<MutexPool<StampingTask>>);
  register_latency("Asio", "/idle:park", run_peer<AsioPool<StampingTask>>);
  register_latency("TbbEnqueue", "/idle:spin_then_park", run_peer<TbbEnqueuePool<StampingTask>>);
  register_latency("Moodycamel", "/idle:spin_then_park", run_peer<MoodycamelPool<StampingTask>>);
  register_latency("Moodycamel", "/idle:spin", run_peer<SpinningMoodycamelPool>);
  return true;
}();

}  // namespace
}  // namespace leat::bench
