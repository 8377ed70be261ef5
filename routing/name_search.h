// Finds a name that some patterns match and others do not, or shows that there is none: what the lint and
// the difference of rule sets rest on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pattern.h"

namespace leat {

enum class Answer : std::uint8_t {
  Found,
  None,       ///< proved
  Undecided,  ///< given up: too many possibilities, or a name that is too long
};

struct NameAnswer {
  Answer answer;
  std::string name;  ///< if Found
};

/// @return  a name of fewest segments that all of `all_of` match and none of `none_of`
/// Complexity: bounded; beyond 20,000 states the answer is Undecided.
[[nodiscard]] NameAnswer find_name(std::span<const Pattern* const> all_of,
                                   std::span<const Pattern* const> none_of);

/// What stands against a name: a pattern that must not match it and does; none: the name is a witness.
using Objection = std::function<std::optional<std::uint32_t>(const std::string& name)>;

struct Witness {
  Answer answer;
  std::string name;                     ///< if Found
  std::vector<std::uint32_t> objected;  ///< if None: patterns that together leave no name, in order
};

/// Looks for a name that all of `all_of` match and to which nothing is objected. Of the many patterns that
/// might object, only those are ever looked at that did.
///
/// @param pattern  gives the pattern of an objection's number
[[nodiscard]] Witness find_witness(std::span<const Pattern* const> all_of,
                                   const std::function<const Pattern&(std::uint32_t)>& pattern,
                                   const Objection& object);

}  // namespace leat
