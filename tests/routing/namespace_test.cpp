#include "leat/namespace.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace leat {
namespace {

static_assert(std::is_trivially_copyable_v<Namespace> && sizeof(Namespace) == 8);

TEST(Namespace, GivesItsFourSegments) {
  NamespaceTable names;
  const Namespace name = *names.intern("public::embedded::etl::load");
  EXPECT_EQ(name.tenant(), "public");
  EXPECT_EQ(name.package(), "embedded");
  EXPECT_EQ(name.workflow(), "etl");
  EXPECT_EQ(name.task(), "load");
  EXPECT_EQ(std::string_view(name), "public::embedded::etl::load");
}

TEST(Namespace, IsInvalidByDefault) {
  EXPECT_FALSE(Namespace().valid());
  EXPECT_EQ(Namespace().view(), "");
}

TEST(NamespaceTable, RefusesWhatIsNotFourSegments) {
  NamespaceTable names;
  EXPECT_EQ(names.intern("a::b::c").error().code, RouteErrorCode::NotFourSegments);
  EXPECT_EQ(names.intern("a::b::c::d::e").error().code, RouteErrorCode::NotFourSegments);
  EXPECT_EQ(names.intern("a::b::::d").error().code, RouteErrorCode::EmptySegment);
  EXPECT_EQ(names.intern("").error().code, RouteErrorCode::EmptyName);
  EXPECT_EQ(names.intern("a::b::c::" + std::string(600, 'd')).error().code, RouteErrorCode::TooLong);
  EXPECT_EQ(names.size(), 0u);
}

TEST(NamespaceTable, GivesOneNameOneHandleAndADenseNumber) {
  NamespaceTable names;
  std::vector<Namespace> handles;
  for (int i = 0; i < 1000; ++i) handles.push_back(*names.intern("a::b::c::t" + std::to_string(i)));
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(handles[i].index(), i);
    EXPECT_EQ(names.at(i), handles[i]);
    EXPECT_EQ(*names.intern(handles[i].view()), handles[i]);
    EXPECT_EQ(names.find("a::b::c::t" + std::to_string(i)), handles[i]);
  }
  EXPECT_FALSE(names.find("a::b::c::unknown").valid());
}

TEST(RouteError, SaysOfEachCodeSomethingOfItsOwn) {
  std::set<std::string_view> said;
  for (int code = 0; code <= static_cast<int>(RouteErrorCode::TooManyRules); ++code)
    said.insert(describe(static_cast<RouteErrorCode>(code)));
  EXPECT_EQ(said.size(), static_cast<std::size_t>(RouteErrorCode::TooManyRules) + 1);
  EXPECT_FALSE(said.contains("is refused")) << "a code without words";
}

TEST(NamespaceTable, HashesByNumber) {
  NamespaceTable first;
  NamespaceTable second;
  EXPECT_EQ(std::hash<Namespace>()(*first.intern("a::b::c::d")),
            std::hash<Namespace>()(*second.intern("w::x::y::z")));
}

TEST(NamespaceTable, GivesAllThreadsTheSameHandlesWhileItGrows) {
  NamespaceTable names;
  constexpr int kThreads = 4;
  constexpr int kNames = 2000;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kNames; ++i) {
        const std::string text = "a::b::c::t" + std::to_string((i + t * 500) % kNames);
        const Namespace name = *names.intern(text);
        if (name.view() != text || names.find(text) != name || names.at(name.index()) != name) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(names.size(), static_cast<std::uint32_t>(kNames));
}

}  // namespace
}  // namespace leat
