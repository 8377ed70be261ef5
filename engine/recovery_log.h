// Says how a start goes on what an earlier process left: a line each five seconds, and one at its end.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "leat/clock.h"
#include "leat/in_flight_board.h"
#include "leat/runner.h"
#include "leat/store_image.h"
#include "leat/store_recovery.h"

namespace leat {

/// What a start found.
struct Recovered {
  std::uint64_t pipelines = 0;  ///< to be carried on
  std::uint64_t rescues = 0;    ///< tasks that ran when the process died; 0 where it had ended in good order
};

/// @param board   null: the store keeps none
/// @param closed  the store, in good order
Recovered count_recovered(const StoreImage& image, InFlightBoard* board, bool closed);

/// Thread-safety: none needed.
class RecoveryLog {
 public:
  using Log = std::function<void(Severity, std::string_view)>;

  RecoveryLog(Clock& clock, Log log) : clock_(clock), log_(std::move(log)) {}

  void look(const RecoveryProgress& now);
  void end(const Recovered& found) const;

 private:
  Clock& clock_;
  const Log log_;
  const std::int64_t begun_ns_ = clock_.steady_ns();
  std::int64_t told_ns_ = begun_ns_;
};

}  // namespace leat
