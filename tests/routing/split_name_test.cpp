#include "split_name.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "pattern.h"

namespace leat {
namespace {

std::string joined(const SplitName& name) {
  std::string text;
  for (std::size_t i = 0; i < name.count(); ++i) text += (i == 0 ? "" : "|") + std::string(name.segment(i));
  return text;
}

TEST(SplitName, SplitsAsPatternsAreSplitWhereverAColonFalls) {
  // Names of every length around the steps in which separators are sought, colons at every place.
  for (std::size_t size = 1; size <= 150; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (std::size_t colons = 1; colons <= 5; ++colons) {
        std::string text(size, 'a');
        text.replace(at, std::min(colons, size - at), std::min(colons, size - at), ':');
        std::string expected;
        const auto error = for_each_segment(text, [&](std::size_t begin, std::size_t bytes) {
          expected += (begin == 0 ? "" : "|") + text.substr(begin, bytes);
        });
        SplitName name;
        ASSERT_EQ(name.split(text).has_value(), error.has_value()) << text;
        ASSERT_TRUE(error || joined(name) == expected) << text;
      }
    }
  }
}

TEST(SplitName, ReadsNothingOutsideTheName) {
  // The allocator's red zones end right behind the text where a sanitizer is on.
  for (std::size_t size = 1; size <= 100; ++size) {
    const auto text = std::make_unique<char[]>(size);
    std::memset(text.get(), 'x', size);
    SplitName name;
    ASSERT_FALSE(name.split({text.get(), size}).has_value());
    EXPECT_EQ(name.segment(0).size(), size);
  }
}

TEST(SplitName, TagsASegmentByItsBytesAlone) {
  for (std::size_t size = 1; size <= 60; ++size) {
    const std::string text(size, 'k');
    SplitName alone;
    SplitName among;
    ASSERT_FALSE(alone.split(text).has_value());
    ASSERT_FALSE(among.split("before::" + text + "::after").has_value());
    EXPECT_EQ(alone.tag(0), among.tag(1));
    const std::string padded = text + std::string(kPadding, 'z');
    EXPECT_EQ(alone.tag(0), tag_of_padded(padded.data(), size));
  }
}

TEST(SplitName, RefusesWhatIsTooLong) {
  SplitName name;
  EXPECT_EQ(name.split(std::string(513, 'a')), RouteErrorCode::TooLong);
  EXPECT_EQ(name.split(""), RouteErrorCode::EmptyName);
  std::string text = "a";
  for (int i = 0; i < 64; ++i) text += "::a";
  EXPECT_EQ(name.split(text), RouteErrorCode::TooManySegments);
}

}  // namespace
}  // namespace leat
