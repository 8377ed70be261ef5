#include "rule_store.h"

#include <bit>
#include <cstring>

#include "glob.h"
#include "levels.h"

namespace leat {
namespace {

struct Header {
  std::uint8_t steps;
  std::uint8_t segments_min;
  std::uint8_t bounded;  ///< 1: no `**`, so segments_min is exact
  std::uint8_t unused;
};

struct Step {
  std::uint16_t size_bytes;
  SegmentKind kind;
  std::uint8_t left;  ///< of the last `**`: segments behind it
};

constexpr std::uint8_t kNotLast = 0xFF;

template <class T>
void append(std::vector<unsigned char>& to, const T& value) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof value);
}

template <class T>
T load(const unsigned char* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

bool segment_matches(SegmentKind kind, std::string_view pattern, std::string_view segment) noexcept {
  if (kind == SegmentKind::Literal) {
    return pattern.size() == segment.size() && equal_padded(pattern.data(), segment.data(), pattern.size());
  }
  return kind == SegmentKind::Any || glob_matches(pattern, segment);
}

}  // namespace

void RuleStore::add(const Pattern& pattern) {
  const auto& segments = pattern.segments();
  if (!blocks_.empty()) blocks_.resize(blocks_.size() - kPadding);
  offsets_.push_back(static_cast<std::uint32_t>(blocks_.size()));
  append(blocks_,
         Header{static_cast<std::uint8_t>(segments.size()), static_cast<std::uint8_t>(pattern.segments_min()),
                static_cast<std::uint8_t>(pattern.bounded()), 0});
  std::size_t last_run = segments.size();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].kind == SegmentKind::AnyRun) last_run = i;
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool plain = segments[i].kind == SegmentKind::Literal || segments[i].kind == SegmentKind::Glob;
    const std::size_t size = plain ? segments[i].text.size() : 0;
    const auto left = i == last_run ? static_cast<std::uint8_t>(segments.size() - i - 1) : kNotLast;
    append(blocks_, Step{static_cast<std::uint16_t>(size), segments[i].kind, left});
  }
  for (const PatternSegment& segment : segments) {
    if (segment.kind != SegmentKind::Literal && segment.kind != SegmentKind::Glob) continue;
    blocks_.insert(blocks_.end(), segment.text.begin(), segment.text.end());
  }
  blocks_.resize(blocks_.size() + kPadding);
}

bool RuleStore::matches(std::uint32_t rule, const SplitName& name) const noexcept {
  const unsigned char* at = blocks_.data() + offsets_[rule];
  const Header header = load<Header>(at);
  if (header.bounded == 0) return name.count() >= header.segments_min && compare(rule, name).matches;
  if (name.count() != header.segments_min) return false;
  at += sizeof header;
  const char* text = reinterpret_cast<const char*>(at) + header.steps * sizeof(Step);
  for (std::size_t i = 0; i < header.steps; ++i) {
    const Step step = load<Step>(at + i * sizeof(Step));
    if (!segment_matches(step.kind, {text, step.size_bytes}, name.segment(i))) return false;
    text += step.size_bytes;
  }
  return true;
}

RuleStore::Progress RuleStore::compare(std::uint32_t rule, const SplitName& name) const noexcept {
  const unsigned char* at = blocks_.data() + offsets_[rule];
  const Header header = load<Header>(at);
  at += sizeof header;
  const char* text = reinterpret_cast<const char*>(at) + header.steps * sizeof(Step);
  const LevelRange range(name.count());
  Levels levels = range.start();
  for (std::size_t i = 0; i < header.steps; ++i, at += sizeof(Step)) {
    const Step step = load<Step>(at);
    if (step.kind == SegmentKind::AnyRun) {
      levels = range.anywhere_from(levels);
      // Behind the last `**` every segment has one possible place.
      if (step.left != kNotLast) levels = range.with_left(levels, step.left, step.left);
      if (levels.none()) return {false, i};
      continue;
    }
    std::uint64_t hits = 0;
    for (std::uint64_t open = levels.open; open != 0; open &= open - 1) {
      const auto level = static_cast<std::size_t>(std::countr_zero(open));
      const bool hit = segment_matches(step.kind, {text, step.size_bytes}, name.segment(level));
      hits |= std::uint64_t{hit} << level;
    }
    if (hits == 0) return {false, i};
    levels = range.behind(hits);
    text += step.size_bytes;
  }
  return {levels.end, header.steps};
}

}  // namespace leat
