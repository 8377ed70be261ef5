// A small memory of recent routes, for a thread that routes the same unregistered names again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>

#include "leat/router.h"

namespace leat {

/// Remembers where names went. A registered Namespace needs none: it carries its route.
///
/// Thread-safety: none; give each thread its own.
class RouteCache {
 public:
  /// @param router   outlives the cache
  /// @param entries  how many names at most; 128 bytes each, rounded up to a power of two
  explicit RouteCache(const Router& router, std::size_t entries = 256);
  ~RouteCache();
  RouteCache(const RouteCache&) = delete;
  RouteCache& operator=(const RouteCache&) = delete;

  /// As Router::resolve(). Names over 104 bytes and those of split rules are looked up every time.
  ///
  /// Progress: lock-free; no allocation.
  [[nodiscard]] std::expected<ExecutorKeyId, RouteErrorCode> resolve(std::string_view name,
                                                                     std::uint64_t sticky_hash) noexcept;

 private:
  struct Entry;
  const Router& router_;
  std::size_t mask_;
  std::unique_ptr<Entry[]> entries_;
};

}  // namespace leat
