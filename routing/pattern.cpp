#include "pattern.h"

#include <algorithm>

namespace leat {
namespace {

SegmentKind kind_of(std::string_view text) {
  if (text.find('*') == std::string_view::npos) return SegmentKind::Literal;
  if (text == "**") return SegmentKind::AnyRun;
  return text.find_first_not_of('*') == std::string_view::npos ? SegmentKind::Any : SegmentKind::Glob;
}

PatternSegment make_segment(std::string_view text) {
  PatternSegment segment{kind_of(text), std::string(text)};
  if (segment.kind == SegmentKind::Any) segment.text = "*";
  if (segment.kind == SegmentKind::Glob) {
    const auto both_stars = [](char a, char b) { return a == '*' && b == '*'; };
    segment.text.erase(std::unique(segment.text.begin(), segment.text.end(), both_stars), segment.text.end());
  }
  return segment;
}

bool is_wild(const PatternSegment& segment) {
  return segment.kind == SegmentKind::Any || segment.kind == SegmentKind::AnyRun;
}

}  // namespace

std::expected<Pattern, TextError> Pattern::parse(std::string_view text) {
  if (text.empty()) return std::unexpected(TextError{RouteErrorCode::EmptyPattern, 0});
  std::vector<PatternSegment> given;
  const auto error = for_each_segment(text, [&](std::size_t begin, std::size_t size) {
    given.push_back(make_segment(text.substr(begin, size)));
  });
  if (error) return std::unexpected(*error);

  Pattern pattern;
  auto& out = pattern.segments_;
  for (auto at = given.begin(); at != given.end();) {
    const auto end = std::find_if_not(at, given.end(), is_wild);
    const auto stars = std::count_if(at, end, [](const auto& s) { return s.kind == SegmentKind::Any; });
    const bool run = end - at > stars;
    const bool run_first = run && out.empty() && end != given.end();
    if (run_first) out.push_back({SegmentKind::AnyRun, "**"});
    out.insert(out.end(), static_cast<std::size_t>(stars), {SegmentKind::Any, "*"});
    if (run && !run_first) out.push_back({SegmentKind::AnyRun, "**"});
    pattern.runs_ += run ? 1 : 0;
    if (end == given.end()) break;
    out.push_back(*end);
    at = end + 1;
  }
  return pattern;
}

std::string Pattern::text() const {
  std::string text;
  for (const PatternSegment& segment : segments_) {
    if (!text.empty()) text += "::";
    text += segment.text;
  }
  return text;
}

}  // namespace leat
