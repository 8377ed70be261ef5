// What a caller wants written together with a group. A word for the layers between the caller and the store,
// which alone knows what is behind it.
#pragma once

namespace leat {

/// Writes to data that a caller keeps where the store keeps its own; see <leat/rocksdb.h>.
class CallerWrites {
 public:
  virtual ~CallerWrites() = default;
};

}  // namespace leat
