// Tasks that were given up because their process died with them too often: a list that outlives the process,
// until somebody redrives or forgets them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "leat/runner.h"
#include "leat/store_image.h"
#include "leat/transition_group.h"
#include "leat_locks/mutex.h"

namespace leat {

/// Thread-safety: any number of threads; a mutex, since only such tasks come here.
/// Invariants:
///   1. A task is here before the record of its end is published, and leaves under the mutex under which the
///      record that says so is published, as the list's rows are: so a row tells nothing that the journal
///      does not.
class Quarantine {
 public:
  void remember(const QuarantineImages& images);
  void add(const Uuid& pipeline, std::uint32_t task, QuarantineImage image);
  /// Those of pipelines behind `after`, by pipeline; at least all of one pipeline, where there is one.
  std::vector<QuarantinedTask> list(const std::optional<Uuid>& after, std::size_t count_max) const;
  /// The number of a pipeline's task. @param task  its name, or its whole namespace
  std::optional<std::uint32_t> find(const Uuid& pipeline, std::string_view task) const;
  /// Takes a task off the list where it is on it and `publish`, called meanwhile, says so.
  ///
  /// @return  false: it is not on it, or `publish` refused
  bool take(const Uuid& pipeline, std::uint32_t task, const std::function<bool()>& publish);
  /// Hands over the row of the first task behind `last`, and moves that on. @return false: there is none
  bool keep(std::optional<std::pair<Uuid, std::uint32_t>>& last, std::uint64_t generation,
            const std::function<void(TransitionGroup&&)>& publish) const;

 private:
  mutable Mutex mutex_;
  QuarantineImages tasks_ LEAT_GUARDED_BY(mutex_);
};

}  // namespace leat
