// Pipelines that wait in the store alone: what the engine, the journal and the stores call them by. Each is a
// row under its line and its place there; record_format.h documents its bytes.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "leat/transition_group.h"

namespace leat {

/// What is known of a line.
struct WaitingBounds {
  WaitingLine line = {};
  std::uint64_t begin = 0;  ///< no row lies below this place
  std::uint64_t end = 0;    ///< nor at this one or above
  std::uint64_t holes = 0;  ///< places between the two that were taken out of turn

  std::uint64_t count() const noexcept { return end - begin - holes; }
  friend bool operator==(const WaitingBounds&, const WaitingBounds&) = default;
};

/// What a commit does to the rows: a part of it, so that a row goes where the pipeline's image comes from it.
struct WaitingChange {
  enum class Kind : std::uint8_t {
    Put,        ///< a row at `place`
    TakeFront,  ///< the rows from `place` up to `begin` go
    TakeOne     ///< the row at `place` goes
  };
  Kind kind = Kind::Put;
  WaitingLine line = {};
  std::uint64_t place = 0;
  std::uint64_t begin = 0;  ///< of the line from now on, as its end and its holes; not with Put
  std::uint64_t end = 0;
  std::uint64_t holes = 0;
  std::span<const std::byte> row = {};  ///< with Put
};

/// @return  a row: when the pipeline was created, and how
std::string encode_waiting(std::int64_t created_ns, const PipelineCreated& created);

/// @param take  called once; its views point into the bytes
/// @return      false: the bytes are damaged
bool decode_waiting(std::span<const std::byte> row,
                    const std::function<void(std::int64_t created_ns, const PipelineCreated& created)>& take);

/// For PipelinesTakenIn::rows.
void append_waiting(std::string& rows, std::span<const std::byte> row);
/// @return  false: the bytes are damaged, or `take` said so
bool each_waiting(std::string_view rows, const std::function<bool(std::span<const std::byte> row)>& take);

}  // namespace leat
