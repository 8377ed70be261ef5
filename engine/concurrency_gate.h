// How many pipelines of one concurrency key may be under way at once. Knows pipelines by number and the order
// in which they were submitted, nothing of tasks, lanes or the journal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "leat_locks/mutex.h"

namespace leat {

class Pipeline;

/// Lets pipelines with a concurrency key in by their numbers, which rise in the order of submission. Who
/// waits is Ready in the journal, so a later process finds it and asks again.
///
/// Thread-safety: any number of threads; a mutex, since only pipelines with a key come here.
/// Invariants:
///   1. Of a key, no pipeline is let in while as many are inside as its limit says.
///   2. A pipeline of which a task has begun, in whichever process, is inside until it has ended.
///   3. What a pipeline that waits would have released is released when it is let in, or has ended, once.
///   4. Nobody is inside, or stands before others, who could not begin: whose first task is due later, or who
///      was paused before one began.
class ConcurrencyGate {
 public:
  static constexpr std::size_t kKeyBytesMax = 256;
  static constexpr std::uint32_t kLimitMax = 1'000'000;

  /// At most so many of each key that `keys` names: a key, or the beginning of keys and a `*`. The longest
  /// that names a key counts; 1 where none does.
  void limit(std::string_view keys, std::uint32_t pipelines_max);

  /// A pipeline that an earlier process began is inside, though nobody carries it on yet.
  void hold(std::uint64_t pipeline_no, std::string_view key);
  enum class Joins : std::uint8_t {
    Inside,  ///< some task of it has begun
    Due,
    Later,   ///< its first task is due later: pass() says when
    Paused,  ///< see step_aside()
  };
  /// A pipeline has been submitted, or is carried on.
  void join(Pipeline& pipeline, std::string_view key, Joins how);
  /// Whether a task of a pipeline, which is due, may go to its lane; otherwise it is kept until the pipeline
  /// is let in.
  bool pass(const Pipeline& pipeline, std::uint32_t task);
  /// A pipeline of which no task has begun, nor will until step_up(), is passed over.
  void step_aside(const Pipeline& pipeline);
  void step_up(const Pipeline& pipeline);
  /// The pipeline has ended, or never began.
  void leave(const Pipeline& pipeline);

  /// All that an earlier process left is there, so the order is known: from here on pipelines are let in.
  void open();
  /// Nothing runs any more.
  void clear();

  /// Whether it has joined, and not been let in.
  bool waits(const Pipeline& pipeline) const;
  /// @return  empty: it has none, or has ended
  std::string key_of(const Pipeline& pipeline) const;

 private:
  struct Key {
    std::string name;
    std::uint32_t limit = 1;
    std::uint32_t inside = 0;
    std::uint32_t members = 0;        // inside, waiting or passed over
    std::set<std::uint64_t> waiting;  // pipelines by number: not inside, due, not paused
  };
  struct Member {
    Key* key = nullptr;
    Pipeline* pipeline = nullptr;  // null: not carried on yet
    bool inside = false;
    bool due = false;                      // it wants to be let in
    bool paused = false;                   // and is passed over meanwhile
    std::vector<std::uint32_t> kept = {};  // tasks that wait with it
  };
  using Releases = std::vector<std::pair<Pipeline*, std::vector<std::uint32_t>>>;

  Key& find_or_make(std::string_view key) LEAT_REQUIRES(mutex_);
  std::uint32_t limit_of(std::string_view key) const noexcept LEAT_REQUIRES(mutex_);
  void let_in(Key& key, Releases& releases) LEAT_REQUIRES(mutex_);
  void wait(std::uint64_t pipeline_no, Member& member, Releases& releases) LEAT_REQUIRES(mutex_);
  static void release(Releases&& releases) noexcept;

  mutable Mutex mutex_;
  bool open_ LEAT_GUARDED_BY(mutex_) = false;
  std::vector<std::pair<std::string, std::uint32_t>> limits_ LEAT_GUARDED_BY(mutex_);
  // Views of their own names.
  std::unordered_map<std::string_view, std::unique_ptr<Key>> keys_ LEAT_GUARDED_BY(mutex_);
  std::unordered_map<std::uint64_t, Member> members_ LEAT_GUARDED_BY(mutex_);  // by pipeline number
};

}  // namespace leat
