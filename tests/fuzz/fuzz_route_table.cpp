// libFuzzer: any bytes as rules and a name, one a line, the name last. Parsing agrees with the plain
// reference, and so does the table.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "pattern.h"
#include "reference_matcher.h"
#include "route_table.h"
#include "split_name.h"

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_route_table: %s\n", what);
  std::abort();
}

/// The reference backtracks: what would take it for ever is not asked of it.
bool is_cheap(std::string_view pattern) {
  std::size_t stars = 0;
  for (const char byte : pattern) stars += byte == '*' ? 1 : 0;
  return stars <= 4;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::size_t rules_left = 16;
  std::vector<leat::Pattern> patterns;
  std::vector<leat::reference::Segments> expected_patterns;
  for (std::size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    const std::string_view text = rest.substr(0, end);
    auto pattern = leat::Pattern::parse(text);
    auto expected = leat::reference::split(text);
    require(pattern.has_value() == expected.has_value(), "a pattern is refused by one side only");
    if (!pattern || !is_cheap(text) || rules_left == 0) continue;
    --rules_left;
    require(leat::Pattern::parse(pattern->text())->text() == pattern->text(),
            "the normal form is not stable");
    patterns.push_back(*std::move(pattern));
    expected_patterns.push_back(*std::move(expected));
  }
  leat::SplitName name;
  const auto expected_name = leat::reference::split(rest);
  require(name.split(rest).has_value() != expected_name.has_value(), "a name is refused by one side only");
  if (!expected_name) return 0;
  const auto expected = leat::reference::first_match(expected_patterns, *expected_name);
  const std::uint32_t found = leat::RouteTable(patterns).match(name);
  require(found == (expected ? *expected : leat::RouteTable::kNoRule), "another rule wins");
  return 0;
}
