// Handles of the pipelines that the store held at opening and that have been carried on, for
// Runner::resumed().
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "leat/pipeline_handle.h"
#include "leat/uuid.h"
#include "leat_locks/mutex.h"

namespace leat {

/// Thread-safety: any number of threads; the mutex is a leaf.
/// Invariant: of those that have ended, kEndedMax or as many as live are kept at most, so that a store that
///   held millions does not cost their memory for as long as the Runner lives.
class ResumedPipelines {
 public:
  static constexpr std::size_t kEndedMax = 1'000;

  void add(PipelineHandle handle);
  /// One of them has ended.
  void one_ended() noexcept;
  std::vector<PipelineHandle> all() const;
  std::optional<PipelineHandle> find(const Uuid& id) const;
  void clear() noexcept;

 private:
  mutable Mutex mutex_;
  std::vector<PipelineHandle> handles_ LEAT_GUARDED_BY(mutex_);
  std::size_t ended_ LEAT_GUARDED_BY(mutex_) = 0;  // of handles_, or about to be found so
};

}  // namespace leat
