// The seam between the journal and whatever keeps its bytes. The engine's core is given one; the simulator gives
// it one that loses power. A store knows bytes and sequence numbers, never tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "leat/store_error.h"

namespace leat {

/// Keeps packed group commits in the order in which they were appended.
///
/// Thread-safety: one thread at a time; the journal's committer is the only writer.
/// After any error of append() or sync() the outcome of that call is unknown and every later write fails.
class StateStore {
 public:
  /// @param first_sequence  the number of the commit's first transition
  /// @param commit          the packed bytes, valid during the call
  using Visitor =
      std::function<std::expected<void, StoreError>(std::uint64_t first_sequence, std::span<const std::byte> commit)>;

  virtual ~StateStore() = default;

  /// The number of this opening, from 1: every opening for writing makes it rise, durably, before it returns.
  virtual std::uint64_t epoch() const noexcept = 0;

  /// The lowest sequence number that no opening of this store has ever used.
  virtual std::uint64_t next_sequence() const noexcept = 0;

  /// Whether the previous opening ended with close().
  virtual bool closed_cleanly() const noexcept = 0;

  /// Visits every commit that the store holds, in order. Ends early with the visitor's error.
  virtual std::expected<void, StoreError> replay(const Visitor& visit) = 0;

  /// Hands one commit over. When it returns, the commit survives the death of the process.
  ///
  /// @param first_sequence  >= next_sequence() at opening, and rising from call to call
  virtual std::expected<void, StoreError> append(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                                 std::span<const std::byte> commit) = 0;

  /// When it returns, everything appended before survives a power cut.
  virtual std::expected<void, StoreError> sync() = 0;

  /// Syncs, marks the store as cleanly closed and releases it. A second call does nothing.
  virtual std::expected<void, StoreError> close() = 0;
};

/// A store in memory: survives nothing but the Runner that uses it. Opening it again (`reopen`) keeps what was
/// appended, so that the contract test is the same for every store.
std::unique_ptr<StateStore> make_memory_store();

/// Opens, or makes, a store in RocksDB.
///
/// @param directory  made where absent (its parent must exist); refused where it holds anything but a leat store
/// @return           the store, or Locked, NewerFormat, NotWritable, NotAStore, Damaged, Io: nothing was changed
std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(const std::string& directory);

}  // namespace leat
