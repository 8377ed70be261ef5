#include "leat/context.h"

#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "json_value.h"

namespace leat {
namespace {

Json to_value(const Scalar& scalar) {
  return std::visit(
      [](auto value) -> Json {
        if constexpr (std::same_as<decltype(value), double>) {
          return std::isfinite(value) ? Json(value) : Json(nullptr);
        } else {
          return value;
        }
      },
      scalar);
}

std::expected<Json, Error> parse_object(std::string_view text) {
  auto value = parse_json(text);
  if (value && !value->is_object()) {
    return std::unexpected(Error{ErrorCode::InvalidArgument,
                                 fmt::format("a context is a JSON object, this is: {}", value->type_name())});
  }
  return value;
}

/// @return the one text that all are, those aside that say nothing; empty: they differ
std::optional<std::string_view> common_text(std::span<const std::string_view> texts) noexcept {
  std::string_view common = "{}";
  for (const std::string_view text : texts) {
    if (text == "{}" || text == common) continue;
    if (common != "{}") return std::nullopt;
    common = text;
  }
  return common;
}

}  // namespace

std::expected<void, Error> check_context_size(std::size_t size_bytes, std::size_t limit_bytes) {
  if (size_bytes <= limit_bytes) return {};
  return std::unexpected(
      Error{ErrorCode::InvalidArgument,
            fmt::format("the context has {} bytes, the limit is {}", size_bytes, limit_bytes)});
}

Context::Context() noexcept = default;
Context::Context(const Context& other)
    : object_(other.empty() ? nullptr : std::make_unique<Object>(*other.object_)) {}
Context::Context(Context&& other) noexcept = default;
Context& Context::operator=(const Context& other) {
  if (this != &other) *this = Context(other);
  return *this;
}
Context& Context::operator=(Context&& other) noexcept = default;
Context::~Context() = default;

std::expected<Context, Error> Context::parse(std::string_view text) {
  Context context;
  if (text == "{}") return context;
  auto members = parse_object(text);
  if (!members) return std::unexpected(std::move(members.error()));
  context.own().members = std::move(*members);
  return context;
}

std::expected<std::string, Error> Context::merge(std::span<const std::string_view> texts) {
  if (const auto common = common_text(texts)) return std::string(*common);
  Json merged;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto later = parse_object(texts[i]);
    if (!later) {
      return std::unexpected(
          Error{later.error().code, fmt::format("context {}: {}", i, later.error().message)});
    }
    if (i == 0) {
      merged = std::move(*later);
    } else {
      merge_json(merged, *later);
    }
  }
  return json_text(merged);
}

void Context::merge(const Context& later) {
  if (!later.empty()) merge_json(own().members, later.object_->members);
}

std::string Context::to_json() const {
  return object_ ? json_text(object_->members) : "{}";
}

template <>
std::optional<bool> Context::get<bool>(std::string_view key) const {
  const Json* value = ContextReader::find(*this, key);
  if (value == nullptr || !value->is_boolean()) return std::nullopt;
  return value->get<bool>();
}

template <>
std::optional<std::int64_t> Context::get<std::int64_t>(std::string_view key) const {
  const Json* value = ContextReader::find(*this, key);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > kMax) return std::nullopt;
  return value->get<std::int64_t>();
}

template <>
std::optional<double> Context::get<double>(std::string_view key) const {
  const Json* value = ContextReader::find(*this, key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->get<double>();
}

template <>
std::optional<std::string> Context::get<std::string>(std::string_view key) const {
  const Json* value = ContextReader::find(*this, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

std::optional<std::string> Context::get_json(std::string_view key) const {
  const Json* value = ContextReader::find(*this, key);
  if (value == nullptr) return std::nullopt;
  return json_text(*value);
}

std::expected<void, Error> Context::set_json(std::string_view key, std::string_view text) {
  auto value = parse_json(text, kJsonDepthMax - 1);  // the context around it is one level more
  if (!value) return std::unexpected(std::move(value.error()));
  own().members[std::string(key)] = std::move(*value);
  return {};
}

bool Context::remove(std::string_view key) {
  return object_ && object_->members.erase(std::string(key)) > 0;
}

bool Context::contains(std::string_view key) const noexcept {
  return ContextReader::find(*this, key) != nullptr;
}

bool Context::empty() const noexcept {
  return size() == 0;
}

std::size_t Context::size() const noexcept {
  return object_ ? object_->members.size() : 0;
}

bool operator==(const Context& a, const Context& b) {
  return a.to_json() == b.to_json();
}

Context::Object& Context::own() {
  if (!object_) object_ = std::make_unique<Object>();
  return *object_;
}

void Context::put(std::string_view key, Scalar value) {
  own().members[std::string(key)] = to_value(value);
}

std::expected<void, Error> Context::put_new(std::string_view key, Scalar value) {
  if (contains(key))
    return std::unexpected(Error{ErrorCode::AlreadyExists, fmt::format("KeyExists: '{}'", key)});
  put(key, value);
  return {};
}

std::expected<void, Error> Context::put_existing(std::string_view key, Scalar value) {
  if (!contains(key))
    return std::unexpected(Error{ErrorCode::NotFound, fmt::format("KeyNotFound: '{}'", key)});
  put(key, value);
  return {};
}

}  // namespace leat
