// The pipelines that live, so that a stop, and a round of the checkpoint, find them all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "leat/runner.h"
#include "leat_locks/mutex.h"

namespace leat {

class Pipeline;

/// A doubly linked list in shards; the links are in the pipelines. Each beginning and each end of a pipeline
/// takes the mutex of one shard: neighbours by number share it, so that who begins pipelines and who ends
/// those that began a while ago mostly hold different ones.
///
/// Thread-safety: any number of threads; begin_walk() and walk(): one at a time.
class PipelineList {
 public:
  /// @return false: the list is closed
  bool add(Pipeline& pipeline) noexcept;
  /// Does nothing where it is not in the list.
  void remove(Pipeline& pipeline) noexcept;
  /// Refuses whoever comes from here on.
  void close() noexcept;
  std::vector<PipelineHandle> all() const;
  /// Looks at each. @return  nothing: it is not there
  std::optional<PipelineHandle> find(const Uuid& id) const;

  /// Begins a walk over those that are in the list now. What is removed meanwhile is left out.
  void begin_walk() noexcept;
  /// @return  the next one above level Memory; nothing: the walk is over
  std::optional<PipelineHandle> walk() noexcept;

 private:
  static constexpr std::size_t kShards = 16;
  static constexpr std::uint64_t kNeighbours = 64;

  struct alignas(64) Shard {
    mutable Mutex mutex;
    bool closed LEAT_GUARDED_BY(mutex) = false;
    Pipeline* first LEAT_GUARDED_BY(mutex) = nullptr;
    Pipeline* last LEAT_GUARDED_BY(mutex) = nullptr;
    Pipeline* next LEAT_GUARDED_BY(mutex) = nullptr;   // of the walk: visited next
    Pipeline* until LEAT_GUARDED_BY(mutex) = nullptr;  // of the walk: visited last, where next is not null
  };

  Shard& shard_of(const Pipeline& pipeline) noexcept;

  std::array<Shard, kShards> shards_;
  std::size_t walked_ = 0;  // shards that the walk is done with
};

}  // namespace leat
