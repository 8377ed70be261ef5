#include "leat/route_cache.h"

#include <bit>
#include <cstring>

#include <xxhash.h>

namespace leat {

struct RouteCache::Entry {
  static constexpr std::size_t kTextMax = 104;

  std::uint64_t route = 0;  ///< as Namespace keeps it: epoch in the upper half
  std::uint16_t size = 0;   ///< bytes of text
  char text[kTextMax];
};

RouteCache::RouteCache(const Router& router, std::size_t entries)
    : router_(router), mask_(std::bit_ceil(entries) - 1), entries_(std::make_unique<Entry[]>(mask_ + 1)) {
  static_assert(sizeof(Entry) <= 128, "two cache lines an entry");
}

RouteCache::~RouteCache() = default;

std::expected<ExecutorKeyId, RouteErrorCode> RouteCache::resolve(std::string_view name,
                                                                 std::uint64_t sticky_hash) noexcept {
  Entry& entry = entries_[XXH3_64bits(name.data(), name.size()) & mask_];
  if (router_.is_current(entry.route) && std::string_view(entry.text, entry.size) == name) {
    return static_cast<ExecutorKeyId>(entry.route);
  }
  std::uint64_t route = 0;
  const auto key = router_.resolve_text(name, sticky_hash, route);
  if (key && name.size() <= Entry::kTextMax) {
    entry.route = route;
    entry.size = static_cast<std::uint16_t>(name.size());
    std::memcpy(entry.text, name.data(), name.size());
  }
  return key;
}

}  // namespace leat
