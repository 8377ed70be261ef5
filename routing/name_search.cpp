#include "name_search.h"

#include <algorithm>
#include <set>
#include <utility>

#include "segment_classes.h"

namespace leat {
namespace {

constexpr std::size_t kStatesMax = 20'000;
constexpr std::size_t kObjectionsMax = 40;
constexpr std::size_t kPatternSegmentsMax = 63;

/// The segments of a pattern before which a name may stand, one bit each, also behind the last.
using Places = std::uint64_t;

/// A pattern whose literals and globs are numbered predicates.
struct NumberedPattern {
  const Pattern* pattern;
  std::vector<std::size_t> predicates;  ///< [segment]; of stars: unused

  [[nodiscard]] std::size_t size() const { return predicates.size(); }
  [[nodiscard]] bool accepts(Places places) const { return (places >> size() & 1) != 0; }

  [[nodiscard]] Places with_empty_runs(Places places) const {
    for (std::size_t i = 0; i < size(); ++i) {
      if (pattern->segments()[i].kind == SegmentKind::AnyRun && (places >> i & 1) != 0)
        places |= Places{2} << i;
    }
    return places;
  }

  [[nodiscard]] Places step(Places places, const SegmentClass& segment) const {
    Places next = 0;
    for (std::size_t i = 0; i < size(); ++i) {
      if ((places >> i & 1) == 0) continue;
      const SegmentKind kind = pattern->segments()[i].kind;
      if (kind == SegmentKind::AnyRun)
        next |= Places{1} << i;
      else if (kind == SegmentKind::Any || segment.satisfies[predicates[i]])
        next |= Places{2} << i;
    }
    return with_empty_runs(next);
  }
};

/// A breadth-first search through sets of places, with one segment of each class to go on by.
class NameSearch {
 public:
  NameSearch(std::span<const Pattern* const> all_of, std::span<const Pattern* const> none_of)
      : wanted_(all_of.size()) {
    for (const Pattern* each : all_of) add(*each);
    for (const Pattern* each : none_of) add(*each);
  }

  NameAnswer run() {
    if (too_long_) return {Answer::Undecided, {}};
    const SegmentClasses classes = classify_segments(predicates_, kStatesMax);
    std::set<std::vector<Places>> seen;
    std::vector<Reached> queue(1);
    for (const NumberedPattern& each : patterns_) queue[0].places.push_back(each.with_empty_runs(1));
    for (std::size_t at = 0; at < queue.size(); ++at) {
      for (const SegmentClass& segment : classes.classes) {
        Reached next{step(queue[at].places, segment), at, &segment};
        if (is_dead(next.places)) continue;
        if (is_answer(next.places)) return named(queue, next);
        if (segment.ends_with_colon || !seen.insert(next.places).second) continue;
        if (queue.size() == kStatesMax) return {Answer::Undecided, {}};
        queue.push_back(std::move(next));
      }
    }
    return {classes.complete ? Answer::None : Answer::Undecided, {}};
  }

 private:
  struct Reached {
    std::vector<Places> places;  ///< [pattern]
    std::size_t from = 0;        ///< index in the queue
    const SegmentClass* segment = nullptr;
  };

  void add(const Pattern& pattern) {
    NumberedPattern numbered{&pattern, {}};
    for (const PatternSegment& segment : pattern.segments()) {
      const bool star = segment.kind == SegmentKind::Any || segment.kind == SegmentKind::AnyRun;
      const auto same = [&](const PatternSegment* known) { return *known == segment; };
      const auto known = std::ranges::find_if(predicates_, same);
      numbered.predicates.push_back(static_cast<std::size_t>(known - predicates_.begin()));
      if (!star && known == predicates_.end()) predicates_.push_back(&segment);
    }
    too_long_ = too_long_ || numbered.size() > kPatternSegmentsMax;
    patterns_.push_back(std::move(numbered));
  }

  std::vector<Places> step(const std::vector<Places>& places, const SegmentClass& segment) const {
    std::vector<Places> next;
    for (std::size_t i = 0; i < patterns_.size(); ++i) next.push_back(patterns_[i].step(places[i], segment));
    return next;
  }
  bool is_dead(const std::vector<Places>& places) const {
    return std::find(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(wanted_), Places{0}) !=
           places.begin() + static_cast<std::ptrdiff_t>(wanted_);
  }
  bool is_answer(const std::vector<Places>& places) const {
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
      if (patterns_[i].accepts(places[i]) != (i < wanted_)) return false;
    }
    return true;
  }

  static NameAnswer named(const std::vector<Reached>& queue, const Reached& last) {
    std::vector<std::string_view> segments;
    for (const Reached* at = &last; at->segment != nullptr; at = &queue[at->from]) {
      segments.push_back(at->segment->text);
    }
    std::string name;
    for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
      if (!name.empty()) name += "::";
      name += *segment;
    }
    const bool fits = segments.size() <= kSegmentsMax && name.size() <= kNameBytesMax;
    return fits ? NameAnswer{Answer::Found, std::move(name)} : NameAnswer{Answer::Undecided, {}};
  }

  std::size_t wanted_;
  std::vector<NumberedPattern> patterns_;  // those wanted come first
  std::vector<const PatternSegment*> predicates_;
  bool too_long_ = false;
};

}  // namespace

NameAnswer find_name(std::span<const Pattern* const> all_of, std::span<const Pattern* const> none_of) {
  return NameSearch(all_of, none_of).run();
}

Witness find_witness(std::span<const Pattern* const> all_of,
                     const std::function<const Pattern&(std::uint32_t)>& pattern, const Objection& object) {
  std::vector<std::uint32_t> objected;
  std::vector<const Pattern*> none_of;
  for (;;) {
    NameAnswer found = find_name(all_of, none_of);
    if (found.answer == Answer::Undecided) return {Answer::Undecided, {}, {}};
    if (found.answer == Answer::None) break;
    const auto objection = object(found.name);
    if (!objection) return {Answer::Found, std::move(found.name), {}};
    if (objected.size() == kObjectionsMax) return {Answer::Undecided, {}, {}};
    objected.push_back(*objection);
    none_of.push_back(&pattern(*objection));
  }
  // Leave out those without which there is no name either.
  for (std::size_t i = none_of.size(); i-- > 0;) {
    std::vector<const Pattern*> fewer = none_of;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (find_name(all_of, fewer).answer != Answer::None) continue;
    none_of = std::move(fewer);
    objected.erase(objected.begin() + static_cast<std::ptrdiff_t>(i));
  }
  std::ranges::sort(objected);
  return {Answer::None, {}, std::move(objected)};
}

}  // namespace leat
