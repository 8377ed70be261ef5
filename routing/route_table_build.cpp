// Builds a RouteTable by inserting one rule after the other. A rule alone in its branch is a leaf there,
// and gets nodes only as far as it shares its way with others: a table has about as many nodes as rules.
#include <algorithm>
#include <array>

#include "glob_anchor.h"
#include "route_table.h"

namespace leat {
namespace {

/// The segments of a pattern in the order in which its trie reads them.
class Path {
 public:
  explicit Path(const Pattern& pattern)
      : segments_(pattern.segments()), backward_(segments_.front().kind == SegmentKind::AnyRun) {}

  [[nodiscard]] bool backward() const { return backward_; }
  [[nodiscard]] std::size_t size() const { return segments_.size(); }
  [[nodiscard]] const PatternSegment& operator[](std::size_t i) const {
    return segments_[backward_ ? segments_.size() - 1 - i : i];
  }

 private:
  const std::vector<PatternSegment>& segments_;
  bool backward_;
};

}  // namespace

RouteTable::RouteTable(std::span<const Pattern> patterns)
    : nodes_(2), edges_(std::size_t{1} << 4), same_path_(patterns.size(), kNoRule) {
  for (std::uint32_t rule = 0; rule < patterns.size(); ++rule) {
    rules_.add(patterns[rule]);
    insert(Path(patterns[rule]).backward() ? kBackward : kForward, 0, rule, patterns);
  }
}

void RouteTable::insert(Ref node, std::size_t depth, std::uint32_t rule, std::span<const Pattern> patterns) {
  const Path path(patterns[rule]);
  std::array<std::uint8_t, kSegmentsMax + 1> least{};
  std::array<std::uint8_t, kSegmentsMax + 1> most{};
  for (std::size_t i = path.size(); i-- > depth;) {
    const bool run = path[i].kind == SegmentKind::AnyRun;
    least[i] = static_cast<std::uint8_t>(least[i + 1] + (run ? 0 : 1));
    most[i] = run || most[i + 1] == kUnbounded ? kUnbounded : static_cast<std::uint8_t>(most[i + 1] + 1);
  }
  for (;; ++depth) {
    nodes_[node].first = std::min(nodes_[node].first, rule);
    nodes_[node].least = std::min(nodes_[node].least, least[depth]);
    nodes_[node].most = std::max(nodes_[node].most, most[depth]);
    if (depth == path.size()) break;
    const Ref next = child(node, path[depth], rule);
    if (next == kNone) {
      child(node, path[depth], rule) = kLeaf | rule;
      return;
    }
    if ((next & kLeaf) == 0) {
      node = next;
      continue;
    }
    const Ref shared = static_cast<Ref>(nodes_.size());
    nodes_.emplace_back();
    child(node, path[depth], rule) = shared;
    insert(shared, depth + 1, next & ~kLeaf, patterns);
    node = shared;
  }
  std::uint32_t* last = &nodes_[node].ends;
  while (*last != kNoRule) {
    if (patterns[*last].segments() == patterns[rule].segments()) return;  // a duplicate never wins
    last = &same_path_[*last];
  }
  *last = rule;
}

RouteTable::Ref& RouteTable::child(Ref node, const PatternSegment& segment, std::uint32_t rule) {
  switch (segment.kind) {
    case SegmentKind::Any:
      return nodes_[node].any;
    case SegmentKind::AnyRun:
      return nodes_[node].run;
    case SegmentKind::Glob:
      return glob_edge(node, segment.text, rule);
    case SegmentKind::Literal:
      break;
  }
  const std::string padded = segment.text + std::string(kPadding, '\0');
  const std::uint32_t tag = tag_of_padded(padded.data(), segment.text.size());
  nodes_[node].literals |= std::uint32_t{1} << (tag >> 27);
  return edge(node, tag, rule);
}

RouteTable::Ref& RouteTable::glob_edge(Ref node, std::string_view glob, std::uint32_t rule) {
  const std::string padded = std::string(glob) + std::string(kPadding, '\0');
  glob = std::string_view(padded).substr(0, glob.size());
  const GlobAnchor anchor(glob);
  Ref shape = nodes_[node].shapes;
  while (shape != kNone &&
         (shapes_[shape].prefix != anchor.prefix || shapes_[shape].suffix != anchor.suffix ||
          shapes_[shape].inner != anchor.inner.size())) {
    shape = shapes_[shape].next;
  }
  if (shape == kNone) {
    shape = static_cast<Ref>(shapes_.size());
    shapes_.push_back({static_cast<std::uint16_t>(anchor.prefix), static_cast<std::uint16_t>(anchor.suffix),
                       static_cast<std::uint16_t>(anchor.inner.size()), nodes_[node].shapes});
    nodes_[node].shapes = shape;
  }
  return edge(kShape | shape, anchor.tag(glob), rule);
}

RouteTable::Ref& RouteTable::edge(Ref from, std::uint32_t tag, std::uint32_t rule) {
  if (edge_count_ * 3 >= edges_.size() * 2) grow_edges();
  std::size_t at = slot_of(from, tag);
  for (; edges_[at].from != kNone; at = (at + 1) & (edges_.size() - 1)) {
    if (edges_[at].from == from && edges_[at].tag == tag) return edges_[at].to;
  }
  ++edge_count_;
  edges_[at] = {from, tag, kNone, rule};  // rules come in order: the first to need an edge is its smallest
  return edges_[at].to;
}

void RouteTable::grow_edges() {
  std::vector<Edge> old(edges_.size() * 2);
  old.swap(edges_);
  --edge_shift_;
  for (const Edge& each : old) {
    if (each.from == kNone) continue;
    std::size_t at = slot_of(each.from, each.tag);
    while (edges_[at].from != kNone) at = (at + 1) & (edges_.size() - 1);
    edges_[at] = each;
  }
}

}  // namespace leat
