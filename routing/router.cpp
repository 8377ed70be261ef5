#include "leat/router.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include <xxhash.h>

#include "intern_table.h"
#include "leat_locks/mutex.h"
#include "route_table.h"
#include "rule_set.h"
#include "split_name.h"

namespace leat {
namespace {

/// A split rule: key i takes the hundredths below `end[i]` that those before it left.
struct Split {
  struct Part {
    std::uint32_t end;
    ExecutorKeyId key;
  };
  std::vector<Part> parts;

  [[nodiscard]] ExecutorKeyId pick(std::uint64_t sticky_hash) const noexcept {
    // Hashed once more, so that a poor hash, or a counter, will do; scaled by its upper half.
    const std::uint64_t point = (XXH3_64bits(&sticky_hash, sizeof sticky_hash) >> 32) * 100 >> 32;
    return std::find_if(parts.begin(), parts.end(), [point](const Part& part) { return point < part.end; })
        ->key;
  }
};

struct Key {
  Key(std::uint32_t number, std::string_view key) : index(number), text(key) {}
  [[nodiscard]] std::string_view view() const noexcept { return text; }

  ExecutorKeyId index;
  std::string text;
};

/// Which of the reader counts this thread uses: neighbours in time seldom share one.
std::size_t reader_shard() noexcept {
  thread_local char here;
  return static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(&here) * 0x9E3779B97F4A7C15u >> 60);
}

}  // namespace

/// One set of rules, compiled. Immutable once published.
struct Router::Routes {
  RoutingConfig config;
  RouteTable table;
  std::vector<std::uint64_t> route;  ///< of each rule, then of the default; as Namespace caches it
  std::vector<Split> splits;

  [[nodiscard]] std::size_t rule_of(const SplitName& name) const noexcept {
    return std::min<std::size_t>(table.match(name), route.size() - 1);
  }
  [[nodiscard]] ExecutorKeyId pick(std::uint64_t found, std::uint64_t sticky_hash) const noexcept {
    const auto low = static_cast<std::uint32_t>(found);
    return (found & kSplit) == 0 ? low : splits[low & ~kSplit].pick(sticky_hash);
  }
  [[nodiscard]] std::string destination(std::size_t rule) const {
    return rule == config.rules().size() ? config.default_key() : destination_of(config.rules()[rule]);
  }
};

/// Where the rules in force are kept: two slots, of which swap() fills one while the other is in force.
struct Router::State {
  struct alignas(64) Shard {
    std::atomic<std::uint32_t> readers{0};
  };
  struct Slot {
    std::unique_ptr<const Routes> routes;
    std::array<Shard, 16> shards;

    [[nodiscard]] bool has_readers() const noexcept {
      return std::any_of(shards.begin(), shards.end(), [](const Shard& shard) {
        return shard.readers.load(std::memory_order_seq_cst) != 0;  // (3) with (2): see Pin
      });
    }
  };

  explicit State(NamespaceTable& table) : names(table) {}

  NamespaceTable& names;
  InternTable<Key> keys;
  Mutex swap_mutex;
  std::array<Slot, 2> slots;
};

/// Holds the rules in force in place while they are read. Two programs decide whether they may be freed:
///
///   reader: count up (2), then look whether the slot is still in force (1)
///   swap:   put the other slot in force (1), then look whether anybody is counted (3)
///
/// In the one order of sequentially consistent operations, either the reader sees the new slot and goes
/// there, or swap() sees the reader and waits. A thread that routes nothing holds nothing and may sleep.
class Router::Pin {
 public:
  explicit Pin(const Router& router) noexcept {
    const std::size_t shard = reader_shard();
    for (;;) {
      publication_ = router.publication_.load(std::memory_order_seq_cst);  // (1)
      State::Slot& slot = router.state_->slots[publication_ & 1];
      readers_ = &slot.shards[shard].readers;
      readers_->fetch_add(1, std::memory_order_seq_cst);                          // (2)
      if (router.publication_.load(std::memory_order_seq_cst) == publication_) {  // (1)
        routes_ = slot.routes.get();
        return;
      }
      readers_->fetch_sub(1, std::memory_order_release);  // (4)
    }
  }
  // (4) release: our reads end before (3) sees the count fall.
  ~Pin() { readers_->fetch_sub(1, std::memory_order_release); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  [[nodiscard]] const Routes& routes() const noexcept { return *routes_; }
  [[nodiscard]] std::uint64_t epoch_bits() const noexcept { return publication_ >> 32 << 32; }

 private:
  std::uint64_t publication_;
  std::atomic<std::uint32_t>* readers_;
  const Routes* routes_;
};

Router::Router(NamespaceTable& names) : state_(std::make_unique<State>(names)) {}
Router::~Router() = default;

std::expected<std::unique_ptr<Router>, RouteError> Router::make(const RoutingConfig& config,
                                                                NamespaceTable& names) {
  std::unique_ptr<Router> router(new Router(names));
  auto routes = router->compile(config);
  if (!routes) return std::unexpected(routes.error());
  router->state_->slots[0].routes = *std::move(routes);
  const std::uint64_t epoch = names.next_epoch();
  router->publication_.store(epoch << 32, std::memory_order_seq_cst);  // (1) publishes slot 0
  return router;
}

std::expected<std::unique_ptr<const Router::Routes>, RouteError> Router::compile(
    const RoutingConfig& config) {
  const auto patterns = parse_rules(config);
  if (!patterns) return std::unexpected(patterns.error());
  auto routes = std::make_unique<Routes>(Routes{config, RouteTable(*patterns), {}, {}});
  routes->route.reserve(config.rules().size() + 1);
  for (const RoutingRule& rule : config.rules()) {
    if (rule.split.empty()) {
      routes->route.push_back(intern_key(rule.key));
      continue;
    }
    Split split;
    std::uint32_t end = 0;
    for (const Share& share : rule.split)
      split.parts.push_back({end += share.percent, intern_key(share.key)});
    routes->route.push_back(kSplit | routes->splits.size());
    routes->splits.push_back(std::move(split));
  }
  routes->route.push_back(intern_key(config.default_key()));
  return routes;
}

ExecutorKeyId Router::resolve_uncached(Namespace name, std::uint64_t sticky_hash) const noexcept {
  const Pin pin(*this);
  std::uint64_t route = name.entry_->route.load(std::memory_order_relaxed);  // one word, no payload
  if (route >> 32 << 32 != pin.epoch_bits()) {
    SplitName split;
    (void)split.split(name.view());  // four segments, checked when it was registered
    route = pin.epoch_bits() | pin.routes().route[pin.routes().rule_of(split)];
    // relaxed: one word, and any thread that races writes the same
    name.entry_->route.store(route, std::memory_order_relaxed);
  }
  return pin.routes().pick(route, sticky_hash);
}

std::expected<ExecutorKeyId, RouteErrorCode> Router::resolve(std::string_view name,
                                                             std::uint64_t sticky_hash) const noexcept {
  std::uint64_t route;
  return resolve_text(name, sticky_hash, route);
}

std::expected<ExecutorKeyId, RouteErrorCode> Router::resolve_text(std::string_view name,
                                                                  std::uint64_t sticky_hash,
                                                                  std::uint64_t& route) const noexcept {
  SplitName split;
  if (const auto error = split.split(name)) return std::unexpected(*error);
  const Pin pin(*this);
  route = pin.epoch_bits() | pin.routes().route[pin.routes().rule_of(split)];
  return pin.routes().pick(route, sticky_hash);
}

std::expected<std::optional<std::uint32_t>, RouteErrorCode> Router::winner(
    std::string_view name) const noexcept {
  SplitName split;
  if (const auto error = split.split(name)) return std::unexpected(*error);
  const Pin pin(*this);
  const std::uint32_t rule = pin.routes().table.match(split);
  return rule == RouteTable::kNoRule ? std::nullopt : std::optional(rule + 1);
}

std::expected<RouteReport, RouteError> Router::swap(const RoutingConfig& config) {
  auto compiled = compile(config);
  if (!compiled) return std::unexpected(compiled.error());

  const MutexLock lock(state_->swap_mutex);
  const std::uint64_t old_slot = publication_.load(std::memory_order_relaxed) & 1;  // only swap() writes it
  State::Slot& old = state_->slots[old_slot];
  State::Slot& fresh = state_->slots[old_slot ^ 1];
  fresh.routes = *std::move(compiled);
  RouteReport report{state_->names.next_epoch(), {}};
  publication_.store(std::uint64_t{report.epoch} << 32 | (old_slot ^ 1), std::memory_order_seq_cst);  // (1)

  // Names registered from here on have never been routed by the old rules.
  for (std::uint32_t i = 0; i < state_->names.size(); ++i) {
    const Namespace name = state_->names.at(i);
    SplitName split;
    (void)split.split(name.view());
    const std::string from = old.routes->destination(old.routes->rule_of(split));
    std::string to = fresh.routes->destination(fresh.routes->rule_of(split));
    if (from != to) report.changes.push_back({name, from, std::move(to)});
  }

  for (int tries = 0; old.has_readers(); ++tries) {
    if (tries < 1000) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(100));  // a reader that is off its core
    }
  }
  old.routes.reset();
  return report;
}

ExecutorKeyId Router::intern_key(std::string_view key) {
  return state_->keys.intern(key).index;
}

std::string_view Router::key(ExecutorKeyId id) const noexcept {
  return state_->keys.at(id).view();
}

std::uint32_t Router::key_count() const noexcept {
  return state_->keys.size();
}

std::vector<ExecutorKeyId> Router::routed_keys() const {
  const Pin pin(*this);
  const Routes& routes = pin.routes();
  std::vector<ExecutorKeyId> keys{static_cast<ExecutorKeyId>(routes.route.back())};
  const auto add = [&keys](ExecutorKeyId key) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  };
  for (const std::uint64_t route : routes.route) {
    if ((route & kSplit) == 0) {
      add(static_cast<ExecutorKeyId>(route));
      continue;
    }
    for (const Split::Part& part : routes.splits[route & ~kSplit].parts) add(part.key);
  }
  return keys;
}

RoutingConfig Router::config() const {
  return Pin(*this).routes().config;
}

}  // namespace leat
