#include "segment_classes.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace leat {
namespace {

constexpr std::size_t kPredicateBytesMax = 63;

/// The places in a literal or glob at which a text may stand, one bit each, also behind the last byte.
using Places = std::uint64_t;

Places with_empty_stars(Places places, std::string_view glob) {
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '*' && (places >> i & 1) != 0) places |= Places{2} << i;
  }
  return places;
}

Places step(Places places, std::string_view glob, char byte) {
  Places next = 0;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if ((places >> i & 1) == 0) continue;
    if (glob[i] == '*')
      next |= Places{1} << i;
    else if (glob[i] == byte)
      next |= Places{2} << i;
  }
  return with_empty_stars(next, glob);
}

/// Every byte that a predicate names, behind one that none names.
std::string alphabet_of(std::span<const PatternSegment* const> predicates) {
  std::string named;
  for (const PatternSegment* each : predicates) named += each->text;
  std::ranges::sort(named);
  named.erase(std::unique(named.begin(), named.end()), named.end());
  std::erase(named, '*');
  std::string others = "qzxjkvwyuohgfdscbmnlpterai";
  for (int byte = 1; byte < 256; ++byte) {
    if (byte != ':' && byte != '*') others += static_cast<char>(byte);
  }
  const std::size_t other = others.find_first_not_of(named);
  return other == std::string::npos ? named : others[other] + named;
}

struct Text {
  std::string text;
  std::vector<Places> places;  ///< [predicate]
};

}  // namespace

SegmentClasses classify_segments(std::span<const PatternSegment* const> predicates, std::size_t states_max) {
  SegmentClasses found{{}, true};
  Text empty;
  for (const PatternSegment* each : predicates) {
    if (each->text.size() > kPredicateBytesMax) return {{}, false};
    empty.places.push_back(with_empty_stars(1, each->text));
  }
  const std::string alphabet = alphabet_of(predicates);
  std::set<std::pair<std::vector<Places>, bool>> seen;
  std::set<std::pair<std::vector<bool>, bool>> classes;
  std::vector<Text> queue{std::move(empty)};
  for (std::size_t at = 0; at < queue.size(); ++at) {
    for (const char byte : alphabet) {
      const Text& text = queue[at];
      if (byte == ':' && text.text.ends_with(':')) continue;  // `::` separates
      Text longer{text.text + byte, text.places};
      std::vector<bool> satisfies;
      for (std::size_t i = 0; i < predicates.size(); ++i) {
        const std::string& glob = predicates[i]->text;
        longer.places[i] = step(longer.places[i], glob, byte);
        satisfies.push_back((longer.places[i] >> glob.size() & 1) != 0);
      }
      if (!seen.insert({longer.places, byte == ':'}).second) continue;
      if (queue.size() == states_max) return {std::move(found.classes), false};
      if (classes.insert({satisfies, byte == ':'}).second) {
        found.classes.push_back({longer.text, std::move(satisfies), byte == ':'});
      }
      queue.push_back(std::move(longer));
    }
  }
  return found;
}

}  // namespace leat
