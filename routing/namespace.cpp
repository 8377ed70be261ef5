#include "leat/namespace.h"

#include <algorithm>
#include <array>
#include <string>

#include "intern_table.h"
#include "pattern.h"

namespace leat {
namespace {

constexpr std::size_t kParts = 4;

RouteError refused(std::string_view name, RouteErrorCode code, std::size_t position) {
  return {code, "namespace '" + std::string(name) + "' " + std::string(describe(code)), std::nullopt,
          position + 1};
}

/// @return  end of each segment, in bytes from the start
std::expected<std::array<std::uint16_t, kParts>, RouteError> segment_ends(std::string_view name) {
  if (name.empty()) return std::unexpected(refused(name, RouteErrorCode::EmptyName, 0));
  std::array<std::uint16_t, kParts> ends{};
  std::size_t count = 0;
  const auto error = for_each_segment(name, [&](std::size_t begin, std::size_t size) {
    if (count < kParts) ends[count] = static_cast<std::uint16_t>(begin + size);
    ++count;
  });
  if (error) return std::unexpected(refused(name, error->code, error->position));
  if (count != kParts) return std::unexpected(refused(name, RouteErrorCode::NotFourSegments, 0));
  return ends;
}

}  // namespace

std::string_view describe(RouteErrorCode code) noexcept {
  switch (code) {
    case RouteErrorCode::EmptyName:
      return "is empty";
    case RouteErrorCode::EmptyPattern:
      return "has an empty pattern";
    case RouteErrorCode::EmptyKey:
      return "has an empty executor key";
    case RouteErrorCode::EmptySegment:
      return "has an empty segment";
    case RouteErrorCode::TooManySegments:
      return "has more than 64 segments";
    case RouteErrorCode::TooLong:
      return "is longer than 512 bytes";
    case RouteErrorCode::NotFourSegments:
      return "does not have the form tenant::package::workflow::task";
    case RouteErrorCode::BadSplit:
      return "has shares that are not distinct keys that add up to 100 percent";
    case RouteErrorCode::UnknownKey:
      return "names an executor key that is not registered";
    case RouteErrorCode::TooManyRules:
      return "is one rule too many";
  }
  return "is refused";
}

std::expected<NamespaceParts, RouteError> parse_namespace(std::string_view name) {
  const auto ends = segment_ends(name);
  if (!ends) return std::unexpected(ends.error());
  const auto part = [&](std::size_t i) {
    const std::size_t begin = i == 0 ? 0 : (*ends)[i - 1] + std::size_t{2};
    return name.substr(begin, (*ends)[i] - begin);
  };
  return NamespaceParts{part(0), part(1), part(2), part(3)};
}

struct NamespaceTable::Store {
  struct Named {
    Named(std::uint32_t index, std::string_view name, const std::array<std::uint16_t, kParts>& ends)
        : text(name) {
      entry.index = index;
      entry.size = static_cast<std::uint16_t>(text.size());
      std::copy(ends.begin(), ends.end(), entry.end);
      entry.text = text.data();
    }
    [[nodiscard]] std::string_view view() const noexcept { return text; }

    std::string text;
    Namespace::Entry entry;
  };

  InternTable<Named> names;
  std::atomic<std::uint32_t> epochs{0};
};

NamespaceTable::NamespaceTable() : store_(std::make_unique<Store>()) {}
NamespaceTable::~NamespaceTable() = default;

std::expected<Namespace, RouteError> NamespaceTable::intern(std::string_view name) {
  if (const Namespace known = find(name)) return known;
  const auto ends = segment_ends(name);
  if (!ends) return std::unexpected(ends.error());
  return Namespace(&store_->names.intern(name, *ends).entry);
}

Namespace NamespaceTable::find(std::string_view name) const noexcept {
  const Store::Named* named = store_->names.find(name);
  return named == nullptr ? Namespace() : Namespace(&named->entry);
}

Namespace NamespaceTable::at(std::uint32_t index) const noexcept {
  return Namespace(&store_->names.at(index).entry);
}

std::uint32_t NamespaceTable::size() const noexcept {
  return store_->names.size();
}

std::uint32_t NamespaceTable::next_epoch() noexcept {
  return store_->epochs.fetch_add(1, std::memory_order_relaxed) + 1;  // uniqueness only
}

}  // namespace leat
