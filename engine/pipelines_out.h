// Pipelines that wait in the store alone while a handle still refers to them: found again when their turn
// comes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "leat/transition_group.h"
#include "leat_locks/mutex.h"

namespace leat {

class Pipeline;

/// Holds no reference: a pipeline whose last handle goes takes itself out. Outlives the engine, as handles
/// may.
///
/// Thread-safety: any number of threads.
class PipelinesOut {
 public:
  struct Place {
    WaitingLine line;
    std::uint64_t place;
  };

  /// @pre  a handle of it is there
  void add(Pipeline& pipeline, const Place& place);
  /// Gives a pipeline back to the engine, with a reference.
  ///
  /// @param number  the pipeline's
  /// @return        null: no handle refers to it any more, or it was never out
  Pipeline* take(std::uint64_t number) noexcept;
  /// All of them, as take() does.
  std::vector<Pipeline*> take_all();
  /// @return  empty: it is not out
  std::optional<Place> place_of(const Pipeline& pipeline) const;
  /// By a pipeline that goes.
  void remove(const Pipeline& pipeline) noexcept;

 private:
  struct Entry {
    Pipeline* pipeline;
    Place place;
  };

  mutable Mutex mutex_;
  std::map<std::uint64_t, Entry> out_ LEAT_GUARDED_BY(mutex_);  // by pipeline_no
};

}  // namespace leat
