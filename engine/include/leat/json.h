// Contexts and results as nlohmann::json values, for those who use that library anyway. No other header of
// leat includes it.
#pragma once

#include <concepts>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "leat/context.h"
#include "leat/pipeline_handle.h"

namespace leat {

/// @return the context as a JSON object
inline nlohmann::json to_nlohmann(const Context& context) {
  return nlohmann::json::parse(context.to_json());
}

/// @return the context, or InvalidArgument where `value` is no object or is nested too deep
inline std::expected<Context, Error> from_nlohmann(const nlohmann::json& value) {
  return Context::parse(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

template <>
inline std::optional<nlohmann::json> Context::get<nlohmann::json>(std::string_view key) const {
  const std::optional<std::string> text = get_json(key);
  if (!text) return std::nullopt;
  return nlohmann::json::parse(*text);
}

/// @return the value; empty: it is of another type, by the rules of PipelineHandle::result()
template <class T>
std::optional<T> json_as(const nlohmann::json& value) {
  if constexpr (std::same_as<T, bool>) {
    if (!value.is_boolean()) return std::nullopt;
  } else if constexpr (std::integral<T>) {
    const bool fits = value.is_number_unsigned()  ? std::in_range<T>(value.get<std::uint64_t>())
                      : value.is_number_integer() ? std::in_range<T>(value.get<std::int64_t>())
                                                  : false;
    if (!fits) return std::nullopt;
  } else if constexpr (std::floating_point<T>) {
    if (!value.is_number()) return std::nullopt;
  }
  try {
    return value.get<T>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

/// @param object  JSON text that leat wrote
template <class T>
std::expected<T, Error> json_value_of(std::string_view object, std::string_view key) {
  const nlohmann::json all = nlohmann::json::parse(object, nullptr, false);
  const auto found = all.find(key);
  if (found == all.end())
    return std::unexpected(Error{ErrorCode::NotFound, "the context has no '" + std::string(key) + "'"});
  if (auto value = json_as<T>(*found)) return std::move(*value);
  return std::unexpected(Error{
      ErrorCode::WrongType,
      "'" + std::string(key) + "' is a " + std::string(found->type_name()) + ", not what was asked for"});
}

template <class T>
std::expected<T, Error> PipelineHandle::result(std::string_view key, std::chrono::nanoseconds timeout) const {
  const auto ended = wait(timeout);
  if (!ended) return std::unexpected(ended.error());
  if (ended->state != PipelineState::Completed) {
    return std::unexpected(
        Error{ErrorCode::InvalidState,
              "the pipeline is " + std::string(to_string(ended->state)) + ": " + ended->error});
  }
  return json_value_of<T>(ended->context, key);
}

template <class T>
std::expected<T, Error> PipelineHandle::result_of(std::string_view task, std::string_view key,
                                                  std::chrono::nanoseconds timeout) const {
  if (const auto ended = wait(timeout); !ended) return std::unexpected(ended.error());
  const auto context = context_of(task);
  if (!context) return std::unexpected(context.error());
  return json_value_of<T>(*context, key);
}

}  // namespace leat
