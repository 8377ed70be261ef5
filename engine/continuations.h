// Who wants to know when pipelines have ended, and where they go on then. It outlives the engine, as handles
// do; what it keeps costs a pipeline that nobody listens to nothing.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "leat/error.h"
#include "leat/runner.h"
#include "leat_locks/mutex.h"
#include "resumption.h"

namespace leat {

class Lane;
class LaneTable;
class Pipeline;

/// Told once that a pipeline has ended, or never will in this Runner: by the thread that ends it, which must
/// not be kept.
class EndListener {
 public:
  virtual void ended() noexcept = 0;

 protected:
  ~EndListener() = default;
};

/// Thread-safety: any number of threads; a mutex, since only who waits without a thread comes here.
class Continuations {
 public:
  using Log = std::function<void(Severity, std::string_view)>;

  Continuations(LaneTable& lanes, Log log) noexcept : lanes_(&lanes), log_(std::move(log)) {}

  // --- the pipeline's side, which keeps a count of its own ---

  void add(const Pipeline& pipeline, EndListener& listener);
  /// @return false: it was not there, or is being told
  bool remove(const Pipeline& pipeline, EndListener& listener) noexcept;
  /// Those that listen to the pipeline, taken out.
  std::vector<EndListener*> take(const Pipeline& pipeline);

  // --- where it goes on ---

  /// The lane of a key that has, or had, an executor; null after close(). @return NotFound: it never had one
  std::expected<Lane*, Error> lane_of(std::string_view executor) const;
  /// Goes on with one of the lane's workers; after close(), on the calling thread.
  void go_on(Lane* lane, Resumption& resumption) noexcept;
  /// The lanes have no workers any more.
  void close() noexcept;
  void log(Severity severity, std::string_view line) const { log_(severity, line); }

 private:
  mutable Mutex mutex_;
  LaneTable* lanes_ LEAT_GUARDED_BY(mutex_);  // null after close()
  const Log log_;
  std::unordered_multimap<const Pipeline*, EndListener*> listeners_ LEAT_GUARDED_BY(mutex_);
};

}  // namespace leat
