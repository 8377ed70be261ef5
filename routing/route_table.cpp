#include "route_table.h"

#include <bit>

#include "glob_anchor.h"
#include "levels.h"

namespace leat {

/// One walk through both tries for one name. `best_` only falls, and prunes what cannot lower it.
class RouteTable::Search {
 public:
  Search(const RouteTable& table, const SplitName& name) noexcept
      : table_(table), name_(name), range_(name.count()) {}

  [[nodiscard]] std::uint32_t run() noexcept {
    visit(kForward, range_.start());
    backward_ = true;
    visit(kBackward, range_.start());
    return best_;
  }

 private:
  void visit(Ref ref, Levels levels) noexcept {
    if (ref >= kLeaf) return consider(ref);
    const Node& node = table_.nodes_[ref];
    if (node.first >= best_) return;
    levels = range_.with_left(levels, node.least, node.most);
    if (levels.none()) return;
    if (levels.end) {
      for (std::uint32_t rule = node.ends; rule < best_; rule = table_.same_path_[rule])
        consider(kLeaf | rule);
    }
    if (levels.open != 0) {
      if (node.literals != 0) follow_literals(ref, node.literals, levels.open);
      for (Ref shape = node.shapes; shape != kNone; shape = table_.shapes_[shape].next) {
        follow_globs(shape, levels.open);
      }
      visit(node.any, range_.behind(levels.open));
    }
    visit(node.run, range_.anywhere_from(levels));
  }

  void consider(Ref leaf) noexcept {
    const std::uint32_t rule = leaf & ~kLeaf;  // of kNone: larger than any
    if (rule < best_ && table_.rules_.matches(rule, name_)) best_ = rule;
  }

  void follow_literals(Ref node, std::uint32_t filter, std::uint64_t open) noexcept {
    follow(node, open, filter, [this](std::size_t level) { return name_.tag(place(level)); });
  }

  void follow_globs(Ref shape_ref, std::uint64_t open) noexcept {
    const Shape& shape = table_.shapes_[shape_ref];
    if (shape.inner != 0) return follow_inner(shape_ref, open);
    std::uint64_t long_enough = 0;
    for (std::uint64_t rest = open; rest != 0; rest &= rest - 1) {
      const auto level = static_cast<std::size_t>(std::countr_zero(rest));
      const bool enough = segment(level).size() >= std::size_t{shape.prefix} + shape.suffix;
      long_enough |= std::uint64_t{enough} << level;
    }
    follow(kShape | shape_ref, long_enough, ~std::uint32_t{0},
           [&](std::size_t level) { return ends_tag(segment(level), shape.prefix, shape.suffix); });
  }

  /// Takes the edges from `from` that the segments at `open` call for: each once, for all its segments.
  template <class TagAt>
  void follow(Ref from, std::uint64_t open, std::uint32_t filter, TagAt tag_at) noexcept {
    while (open != 0) {
      const auto level = static_cast<std::size_t>(std::countr_zero(open));
      const std::uint32_t tag = tag_at(level);
      std::uint64_t same = open & -open;
      open ^= same;
      if ((filter >> (tag >> 27) & 1) == 0) continue;
      const Edge* edge = table_.find(from, tag);
      if (edge == nullptr) continue;
      for (std::uint64_t rest = open; rest != 0; rest &= rest - 1) {
        const auto other = static_cast<std::size_t>(std::countr_zero(rest));
        same |= std::uint64_t{tag_at(other) == tag} << other;
      }
      open &= ~same;
      if (edge->first < best_) visit(edge->to, range_.behind(same));
    }
  }

  /// The same for a piece of text that may stand anywhere in a segment; its first place takes the edge.
  void follow_inner(Ref shape_ref, std::uint64_t open) noexcept {
    const std::size_t size = table_.shapes_[shape_ref].inner;
    for (std::uint64_t rest = open; rest != 0; rest &= rest - 1) {
      const auto level = static_cast<std::size_t>(std::countr_zero(rest));
      const std::string_view text = segment(level);
      for (std::size_t at = 0; at + size <= text.size(); ++at) {
        const std::string_view piece = text.substr(at, size);
        const Edge* edge = table_.find(kShape | shape_ref, tag_of_padded(piece.data(), size));
        if (edge == nullptr || edge->first >= best_) continue;
        if (text.find(piece) < at || with_piece(piece, open & ~(~std::uint64_t{0} << level)) != 0) continue;
        visit(edge->to, range_.behind(with_piece(piece, rest)));
      }
    }
  }

  [[nodiscard]] std::uint64_t with_piece(std::string_view piece, std::uint64_t open) const noexcept {
    std::uint64_t found = 0;
    for (; open != 0; open &= open - 1) {
      const auto level = static_cast<std::size_t>(std::countr_zero(open));
      const bool has = segment(level).find(piece) != std::string_view::npos;
      found |= std::uint64_t{has} << level;
    }
    return found;
  }

  [[nodiscard]] std::size_t place(std::size_t level) const noexcept {
    return backward_ ? name_.count() - 1 - level : level;
  }
  [[nodiscard]] std::string_view segment(std::size_t level) const noexcept {
    return name_.segment(place(level));
  }

  const RouteTable& table_;
  const SplitName& name_;
  const LevelRange range_;
  bool backward_ = false;
  std::uint32_t best_ = kNoRule & ~kLeaf;
};

std::uint32_t RouteTable::match(const SplitName& name) const noexcept {
  const std::uint32_t rule = Search(*this, name).run();
  return rule < same_path_.size() ? rule : kNoRule;
}

const RouteTable::Edge* RouteTable::find(Ref from, std::uint32_t tag) const noexcept {
  for (std::size_t at = slot_of(from, tag);; at = (at + 1) & (edges_.size() - 1)) {
    const Edge& edge = edges_[at];
    if (edge.from == from && edge.tag == tag) return &edge;
    if (edge.from == kNone) return nullptr;
  }
}

std::size_t RouteTable::hot_bytes() const noexcept {
  return nodes_.size() * sizeof(Node) + edges_.size() * sizeof(Edge) + shapes_.size() * sizeof(Shape) +
         same_path_.size() * sizeof(same_path_[0]) + rules_.bytes();
}

}  // namespace leat
