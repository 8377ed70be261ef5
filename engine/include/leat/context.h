// Contexts: the JSON object that a pipeline's tasks hand on. Knows nothing of tasks or stores;
// text in, text out.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "leat/error.h"

namespace leat {

/// The largest context that a task may save, in bytes of JSON text.
inline constexpr std::size_t kContextBytesMax = std::size_t{1} << 20;

/// How deep arrays and objects may be nested in any JSON text that leat reads; deeper text is refused.
inline constexpr std::size_t kJsonDepthMax = 128;

/// @return nothing, or InvalidArgument that names both sizes
std::expected<void, Error> check_context_size(std::size_t size_bytes,
                                              std::size_t limit_bytes = kContextBytesMax);

/// One value that is neither array nor object. Integers above the range of int64 stay unsigned.
using Scalar = std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view>;

template <class T>
concept ScalarLike = std::is_arithmetic_v<T> || std::convertible_to<const T&, std::string_view>;

/// A JSON object by key. Its keys are kept in the order of their bytes, so equal contexts have equal texts.
///
/// Numbers keep their kind: 1 and 1.0 are different values. Integers beyond 64 bits become floating point.
/// Numbers that are not finite become null, bytes that are not UTF-8 become U+FFFD. Of a key given twice
/// the last counts.
/// ```cpp
/// auto context = leat::Context::parse(R"({"rows": 3})");
/// context->set("status", "ready");
/// context->get<std::int64_t>("rows");   // 3
/// context->to_json();                   // {"rows":3,"status":"ready"}
/// ```
/// Thread-safety: as std::string.  Complexity: O(log n) a key. An empty context owns no memory.
class Context {
 public:
  Context() noexcept;
  Context(const Context& other);
  Context(Context&& other) noexcept;
  Context& operator=(const Context& other);
  Context& operator=(Context&& other) noexcept;
  ~Context();

  /// @param text  one JSON object, nested at most kJsonDepthMax deep
  /// @return      the context, or InvalidArgument that names the byte where the text is wrong
  static std::expected<Context, Error> parse(std::string_view text);

  /// Merges contexts in order, as a task with several dependencies sees them: objects key by key,
  /// recursively; of two arrays the earlier one as it is, then the later one's items that are not in it
  /// yet; otherwise the later value wins.
  ///
  /// @param texts  JSON objects; none gives "{}". Where all that are not "{}" are equal, that text is given
  ///               back as it is, unread: whoever reads it finds the damage
  /// @return       the merged text, or InvalidArgument that names the damaged text by its index
  /// Complexity: linear in the size of the texts.
  static std::expected<std::string, Error> merge(std::span<const std::string_view> texts);

  /// Merges one later context into this one, by the rules above.
  void merge(const Context& later);

  /// The text without spaces, keys in the order of their bytes.
  std::string to_json() const;

  /// @return the value of `key`; empty where it is absent or of another type. An integer is a double as
  ///         well; one beyond int64 is no int64. With <leat/json.h>, T may be nlohmann::json.
  template <class T>
  std::optional<T> get(std::string_view) const {
    static_assert(sizeof(T) == 0,
                  "T is bool, std::int64_t, double, std::string or, with json.h, nlohmann::json");
  }
  /// @return the value's JSON text; empty where the key is absent
  std::optional<std::string> get_json(std::string_view key) const;

  /// Sets a key, whether it exists or not.
  template <ScalarLike T>
  void set(std::string_view key, const T& value) {
    put(key, scalar(value));
  }
  /// @param text  any JSON value
  /// @return      nothing, or InvalidArgument as parse()
  std::expected<void, Error> set_json(std::string_view key, std::string_view text);

  /// Sets a new key. @return nothing, or AlreadyExists ("KeyExists") and no change
  template <ScalarLike T>
  std::expected<void, Error> insert(std::string_view key, const T& value) {
    return put_new(key, scalar(value));
  }
  /// Sets a key that exists. @return nothing, or NotFound ("KeyNotFound") and no change
  template <ScalarLike T>
  std::expected<void, Error> update(std::string_view key, const T& value) {
    return put_existing(key, scalar(value));
  }

  /// @return whether the key was there
  bool remove(std::string_view key);
  bool contains(std::string_view key) const noexcept;
  bool empty() const noexcept;
  std::size_t size() const noexcept;  ///< keys, not counting nested ones

  friend bool operator==(const Context& a, const Context& b);

 private:
  friend class ContextReader;  // the engine's own look at the values behind
  struct Object;

  template <class T>
  static Scalar scalar(const T& value) {
    if constexpr (std::same_as<T, bool>)
      return value;
    else if constexpr (std::signed_integral<T>)
      return static_cast<std::int64_t>(value);
    else if constexpr (std::unsigned_integral<T>)
      return static_cast<std::uint64_t>(value);
    else if constexpr (std::floating_point<T>)
      return static_cast<double>(value);
    else
      return static_cast<std::string_view>(value);
  }
  Object& own();
  void put(std::string_view key, Scalar value);
  std::expected<void, Error> put_new(std::string_view key, Scalar value);
  std::expected<void, Error> put_existing(std::string_view key, Scalar value);

  std::unique_ptr<Object> object_;  // null: empty
};

template <>
std::optional<bool> Context::get<bool>(std::string_view key) const;
template <>
std::optional<std::int64_t> Context::get<std::int64_t>(std::string_view key) const;
template <>
std::optional<double> Context::get<double>(std::string_view key) const;
template <>
std::optional<std::string> Context::get<std::string>(std::string_view key) const;

}  // namespace leat
