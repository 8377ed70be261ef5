// The compiled form of an ordered list of patterns: which is the first that matches a name? Immutable once
// built. Knows nothing of keys, of swaps, or of who asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pattern.h"
#include "rule_store.h"
#include "split_name.h"

namespace leat {

/// Two tries over the patterns: one read from the first segment on and, for patterns that begin with
/// `**`, one read from the last segment backwards. The tries only propose rules, and may propose too
/// many (edges are compared by 32-bit tags, globs by a part of their text); the RuleStore decides. They
/// never leave out one that matches.
///
/// Thread-safety: any number of threads may match.
class RouteTable {
 public:
  static constexpr std::uint32_t kNoRule = 0xFFFFFFFFu;

  explicit RouteTable(std::span<const Pattern> patterns);

  /// @return  the first rule, from 0, that matches; kNoRule if none does
  /// Progress: wait-free; no allocation; recursion no deeper than 65.
  /// Complexity: each trie node is visited at most once, with all positions in the name where it can stand.
  [[nodiscard]] std::uint32_t match(const SplitName& name) const noexcept;

  [[nodiscard]] std::size_t rule_count() const noexcept { return same_path_.size(); }

  /// What match() may touch.
  [[nodiscard]] std::size_t hot_bytes() const noexcept;

 private:
  class Search;

  /// A node's number; or a rule's number with kLeaf, where only that rule goes on; or kNone.
  using Ref = std::uint32_t;
  static constexpr Ref kLeaf = 0x80000000u;
  static constexpr Ref kNone = 0xFFFFFFFFu;
  static constexpr Ref kForward = 0;  // roots
  static constexpr Ref kBackward = 1;
  static constexpr std::uint8_t kUnbounded = 0xFF;

  struct Node {
    /// Smallest rule at or below: a branch behind a better match is not entered.
    std::uint32_t first = kNoRule;
    std::uint32_t ends = kNoRule;     ///< smallest rule that ends here; more in same_path_
    Ref any = kNone;                  ///< behind `*`
    Ref run = kNone;                  ///< behind `**`
    Ref shapes = kNone;               ///< of the globs that leave from here
    std::uint32_t literals = 0;       ///< which fifth-bit classes the tags of literal edges fall in
    std::uint8_t least = kUnbounded;  ///< segments that rules below need yet
    std::uint8_t most = 0;            ///< segments that rules below can take yet
  };
  static_assert(sizeof(Node) <= 32, "two nodes in a cache line");

  /// A literal segment, from a node; or the text that a glob is found by, from a shape.
  struct Edge {
    Ref from = kNone;
    std::uint32_t tag;
    Ref to;
    std::uint32_t first;  ///< smallest rule behind it, so that a useless node is not even read
  };

  /// Globs that leave one node and are found by texts of the same place and size: a prefix and a suffix,
  /// or, where they have neither, a piece of `inner` bytes that stands anywhere.
  struct Shape {
    std::uint16_t prefix;
    std::uint16_t suffix;
    std::uint16_t inner;
    Ref next;
  };

  static constexpr Ref kShape = 0x80000000u;  // sets shapes apart from nodes in Edge::from

  [[nodiscard]] const Edge* find(Ref from, std::uint32_t tag) const noexcept;
  Ref& edge(Ref from, std::uint32_t tag, std::uint32_t rule);
  Ref& glob_edge(Ref node, std::string_view glob, std::uint32_t rule);
  Ref& child(Ref node, const PatternSegment& segment, std::uint32_t rule);
  void insert(Ref node, std::size_t depth, std::uint32_t rule, std::span<const Pattern> patterns);
  void grow_edges();
  [[nodiscard]] std::size_t slot_of(Ref from, std::uint32_t tag) const noexcept {
    return static_cast<std::size_t>((std::uint64_t{from} << 32 | tag) * 0x9E3779B97F4A7C15u >> edge_shift_);
  }

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;  // open addressing, at most two thirds full
  int edge_shift_ = 64 - 4;
  std::size_t edge_count_ = 0;
  std::vector<Shape> shapes_;
  std::vector<std::uint32_t> same_path_;  // by rule: the next that ends at the same node
  RuleStore rules_;
};

}  // namespace leat
