#include "json_value.h"

#include <cstdint>
#include <limits>
#include <string>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "json_text.h"

namespace leat {
namespace {

constexpr std::size_t kMessageBytesMax = 200;

/// How deep arrays and objects are nested. Exact up to the first syntax error, which is as far as
/// a parser gets.
std::size_t nesting(std::string_view text) noexcept {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

/// The library's text without its "[json.exception...] " and bounded: it quotes what it read.
std::string_view shorten(std::string_view what) noexcept {
  if (const std::size_t end = what.find("] "); what.starts_with('[') && end != what.npos)
    what.remove_prefix(end + 2);
  return what.substr(0, kMessageBytesMax);
}

Error invalid(std::string message) {
  return {ErrorCode::InvalidArgument, std::move(message)};
}

/// Exact: a double is first placed against the integer's range, then compared by whole part and fraction.
template <class Integer>
std::partial_ordering compare_mixed(Integer integer, double number) noexcept {
  constexpr double kEnd =
      2.0 * static_cast<double>(std::uint64_t{1} << (std::numeric_limits<Integer>::digits - 1));
  constexpr double kBegin = std::numeric_limits<Integer>::is_signed ? -kEnd : 0.0;
  if (number >= kEnd) return std::partial_ordering::less;
  if (number < kBegin) return std::partial_ordering::greater;
  const auto whole = static_cast<Integer>(number);
  if (integer != whole) return integer <=> whole;
  return 0.0 <=> (number - static_cast<double>(whole));
}

std::partial_ordering reversed(std::partial_ordering order) noexcept {
  return 0 <=> order;
}

/// Appends what is not in `into` yet. Items are known by their text: linear, and equal texts
/// are equal values.
void merge_arrays(Json& into, const Json& later) {
  std::unordered_set<std::string> known;
  for (const Json& item : into) known.insert(json_text(item));
  for (const Json& item : later) {
    if (known.insert(json_text(item)).second) into.push_back(item);
  }
}

}  // namespace

const Json* ContextReader::find(const Context& context, std::string_view key) noexcept {
  if (!context.object_) return nullptr;
  const auto member = context.object_->members.find(key);
  return member == context.object_->members.end() ? nullptr : &*member;
}

std::expected<Json, Error> parse_json(std::string_view text, std::size_t depth_max) {
  if (nesting(text) > depth_max) {
    return std::unexpected(invalid(fmt::format("JSON is nested deeper than {} levels", depth_max)));
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return std::unexpected(invalid(fmt::format("no JSON at byte {}: {}", error.byte, shorten(error.what()))));
  } catch (const Json::exception& error) {  // a number that no double holds
    return std::unexpected(invalid(fmt::format("no JSON: {}", shorten(error.what()))));
  }
}

std::expected<std::string, Error> canonical_json(std::string_view text) {
  if (text == "{}") return std::string(text);
  const auto value = parse_json(text);
  if (!value) return std::unexpected(value.error());
  return json_text(*value);
}

std::string json_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool json_equal(const Json& a, const Json& b) {
  return json_text(a) == json_text(b);
}

std::partial_ordering compare_numbers(const Json& a, const Json& b) noexcept {
  if (!a.is_number() || !b.is_number()) return std::partial_ordering::unordered;
  if (a.is_number_float() && b.is_number_float()) return a.get<double>() <=> b.get<double>();
  if (a.is_number_float()) return reversed(compare_numbers(b, a));
  if (b.is_number_float()) {
    return a.is_number_unsigned() ? compare_mixed(a.get<std::uint64_t>(), b.get<double>())
                                  : compare_mixed(a.get<std::int64_t>(), b.get<double>());
  }
  const bool a_negative = !a.is_number_unsigned() && a.get<std::int64_t>() < 0;
  const bool b_negative = !b.is_number_unsigned() && b.get<std::int64_t>() < 0;
  if (a_negative != b_negative) return b_negative <=> a_negative;
  return a_negative ? a.get<std::int64_t>() <=> b.get<std::int64_t>()
                    : a.get<std::uint64_t>() <=> b.get<std::uint64_t>();
}

void merge_json(Json& into, const Json& later) {
  if (into.is_object() && later.is_object()) {
    for (const auto& [key, value] : later.items()) {
      const auto [member, added] = into.emplace(key, value);
      if (!added) merge_json(*member, value);
    }
  } else if (into.is_array() && later.is_array()) {
    merge_arrays(into, later);
  } else {
    into = later;
  }
}

}  // namespace leat
