// Walks through every interleaving of a few small programs. A protocol is written as a value: its threads'
// program counters and what they share; a step is what one thread does in one go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace leat {

/// What the walk found. A model with a flaw must not come out Sound.
struct Walk {
  enum class Verdict { Sound, Stuck, Broken };
  Verdict verdict;
  std::size_t states;

  bool sound() const { return verdict == Verdict::Sound; }
  bool stuck() const { return verdict == Verdict::Stuck; }    ///< nobody can step, and not all is done
  bool broken() const { return verdict == Verdict::Broken; }  ///< a state that must never be was reached
};

/// A model is bytes without padding, with:
///   int  threads() const       how many there are
///   bool step(int thread)      one step; false: that thread cannot step now
///   bool done() const          whether the work is done once nobody can step
///   bool broken() const        whether an invariant is hurt
/// A step is deterministic; what a thread may choose is a thread of its own.
template <typename Model>
Walk walk(const Model& start) {
  static_assert(std::has_unique_object_representations_v<Model>, "states are told apart by their bytes");
  static_assert(std::is_trivially_copyable_v<Model>);
  const auto bytes = [](const Model& model) {
    return std::string_view(reinterpret_cast<const char*>(&model), sizeof model);
  };
  const auto hash = [bytes](const Model& model) { return std::hash<std::string_view>{}(bytes(model)); };
  const auto same = [bytes](const Model& a, const Model& b) { return bytes(a) == bytes(b); };
  std::unordered_set<Model, decltype(hash), decltype(same)> seen(1 << 12, hash, same);
  std::vector<Model> todo = {start};
  seen.insert(start);
  while (!todo.empty()) {
    const Model model = todo.back();
    todo.pop_back();
    if (model.broken()) return {Walk::Verdict::Broken, seen.size()};
    bool stepped = false;
    for (int thread = 0; thread < model.threads(); ++thread) {
      Model next = model;
      if (!next.step(thread)) continue;
      stepped = true;
      if (seen.insert(next).second) todo.push_back(next);
    }
    if (!stepped && !model.done()) return {Walk::Verdict::Stuck, seen.size()};
  }
  return {Walk::Verdict::Sound, seen.size()};
}

/// A write that its thread has done and nobody else sees yet: what a store buffer holds. It becomes visible
/// in a step of its own, at any later moment.
struct Delayed {
  std::uint8_t pending = 0;

  /// @return whether the write is to be done now
  bool write(bool delayed) {
    pending = delayed;
    return !delayed;
  }
  /// @return whether there was a write, which is to be done now
  bool drain() {
    const bool was = pending != 0;
    pending = 0;
    return was;
  }
};

}  // namespace leat
