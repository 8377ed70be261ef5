// Where does a task go? Name -> executor key, by ordered rules that may be swapped while others route.
// Knows names, rules and keys, and nothing of executors.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/namespace.h"
#include "leat/route_analysis.h"
#include "leat/route_error.h"
#include "leat/routing_config.h"

namespace leat {

/// Number of an executor key: dense from 0, the same for a Router's life, whatever rules come and go.
using ExecutorKeyId = std::uint32_t;

/// A registered name that new rules send elsewhere.
struct RouteChange {
  Namespace name;
  std::string from;  ///< executor key, or the shares of a split rule
  std::string to;
};

/// What a swap of the rules changed.
struct RouteReport {
  std::uint32_t epoch;               ///< of the new rules
  std::vector<RouteChange> changes;  ///< in order of registration
};

/// Routes names to executor keys.
///
/// Thread-safety: any number of threads, swap() included.
/// Invariants:
///   1. A name is routed by one complete set of rules, the old or the new one, never by a mixture.
///   2. When swap() returns, no thread routes by the old rules any more and they are freed.
class Router {
 public:
  /// Compiles the rules.
  ///
  /// @param names  outlives the Router; its entries carry the cached routes
  /// @return       the router, or the first rule that is refused, with its number and position
  [[nodiscard]] static std::expected<std::unique_ptr<Router>, RouteError> make(const RoutingConfig& config,
                                                                               NamespaceTable& names);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  /// Routes a registered name: one load and an epoch check, once its route is cached.
  ///
  /// @param name         valid, from the NamespaceTable of make()
  /// @param sticky_hash  hash of the pipeline's id: a split rule sends equal hashes to the same key
  /// Progress: lock-free; no allocation.
  [[nodiscard]] ExecutorKeyId resolve(Namespace name, std::uint64_t sticky_hash) const noexcept {
    return resolve(name, [sticky_hash] { return sticky_hash; });
  }
  /// The same with a hash that is asked for only where it is needed.
  template <std::invocable Hash>
  [[nodiscard]] ExecutorKeyId resolve(Namespace name, const Hash& sticky_hash) const noexcept {
    const std::uint64_t route = name.entry_->route.load(std::memory_order_relaxed);  // one word, no payload
    if (is_current(route)) [[likely]]
      return static_cast<ExecutorKeyId>(route);
    return resolve_uncached(name, sticky_hash());
  }

  /// Routes any name of 1 to 64 segments.
  ///
  /// @return  the key, or EmptyName, EmptySegment, TooManySegments, TooLong
  /// Progress: lock-free; no allocation.  Complexity: in the length of the name, not the number of rules.
  [[nodiscard]] std::expected<ExecutorKeyId, RouteErrorCode> resolve(
      std::string_view name, std::uint64_t sticky_hash) const noexcept;

  /// Replaces the rules. Numbers of keys stay as they are.
  ///
  /// @return  which registered names change their destination; or a refused rule, and the old ones stay
  ///          in force
  /// Progress: waits for other swaps, and for those that are just routing by the old rules (about a
  ///           microsecond, or until the operating system lets them run again).
  [[nodiscard]] std::expected<RouteReport, RouteError> swap(const RoutingConfig& config);

  /// Gives a key its number, or finds it.
  [[nodiscard]] ExecutorKeyId intern_key(std::string_view key);

  /// @param id  from this Router
  /// Progress: lock-free.
  [[nodiscard]] std::string_view key(ExecutorKeyId id) const noexcept;

  /// How many keys have a number.
  [[nodiscard]] std::uint32_t key_count() const noexcept;

  /// Keys that the present rules name, the default first, each once.
  [[nodiscard]] std::vector<ExecutorKeyId> routed_keys() const;

  /// The present rules.
  [[nodiscard]] RoutingConfig config() const;

  /// Rises with every swap.
  [[nodiscard]] std::uint32_t epoch() const noexcept {
    // (1) see is_current()
    return static_cast<std::uint32_t>(publication_.load(std::memory_order_acquire) >> 32);
  }

  /// Which rule wins, from 1; none: the default.
  [[nodiscard]] std::expected<std::optional<std::uint32_t>, RouteErrorCode> winner(
      std::string_view name) const noexcept;

  /// As explain(), lint() of route_analysis.h, of the present rules.
  [[nodiscard]] std::expected<Explanation, RouteError> explain(std::string_view name) const;
  [[nodiscard]] std::vector<RouteFinding> lint() const;

 private:
  friend class RouteCache;
  struct State;
  struct Routes;
  class Pin;

  /// A cached route: the epoch in the upper half, below it this flag and the number of a key or split rule.
  static constexpr std::uint64_t kSplit = std::uint64_t{1} << 31;

  explicit Router(NamespaceTable& names);

  /// Whether a cached route is of the rules in force and names a key.
  [[nodiscard]] bool is_current(std::uint64_t route) const noexcept {
    // (1) acquire: the keys of the rules in force are visible; pairs with the store in swap() and make().
    const std::uint64_t current = publication_.load(std::memory_order_acquire);
    // The epochs are equal and the flag is clear, as it is in `current`.
    return ((route ^ current) >> 31) == 0;
  }

  [[nodiscard]] ExecutorKeyId resolve_uncached(Namespace name, std::uint64_t sticky_hash) const noexcept;
  [[nodiscard]] std::expected<ExecutorKeyId, RouteErrorCode> resolve_text(
      std::string_view name, std::uint64_t sticky_hash, std::uint64_t& route) const noexcept;
  [[nodiscard]] std::expected<std::unique_ptr<const Routes>, RouteError> compile(const RoutingConfig& config);

  /// The epoch of the rules in force in the upper half, below it the slot that holds them.
  std::atomic<std::uint64_t> publication_{0};
  std::unique_ptr<State> state_;
};

}  // namespace leat
