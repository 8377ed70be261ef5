#include "pipeline_search.h"

#include <algorithm>
#include <limits>
#include <ranges>
#include <utility>

namespace leat {
namespace {

/// One round, and the journal behind it up to a number.
class Search {
 public:
  Search(const Uuid& id, const CheckpointMark& round) : image_(StoreImage::Keep::Unfinished) {
    image_.on_finish([this, id](const PipelineImage& pipeline) {
      if (pipeline.id == id) ended_ = pipeline;
    });
    image_.begin_at(round);
  }

  std::expected<void, StoreError> load(std::uint64_t first, std::span<const std::byte> slice) {
    return image_.load(first, slice);
  }
  /// @return  false: no more need be applied
  std::expected<bool, StoreError> apply(std::uint64_t first, std::span<const std::byte> commit,
                                        std::uint64_t end) {
    if (first >= end) return false;
    if (auto done = image_.apply(first, commit); !done) return std::unexpected(std::move(done.error()));
    return !ended_;
  }
  std::optional<RememberedPipeline> found(const Uuid& id) {
    if (!ended_) {
      const auto live = std::ranges::find(image_.pipelines() | std::views::values, id, &PipelineImage::id);
      if (live.base() != image_.pipelines().end()) ended_ = *live;
    }
    if (!ended_) return std::nullopt;
    const WorkflowImage& workflow = image_.workflows().at(ended_->workflow_no);
    return RememberedPipeline{std::move(*ended_), workflow};
  }

 private:
  StoreImage image_;
  std::optional<PipelineImage> ended_;
};

}  // namespace

std::expected<std::optional<RememberedPipeline>, StoreError> find_in_rounds(
    const Uuid& id, std::span<const CheckpointMark> rounds, const ReplayFrom& replay_rows,
    const ReplayFrom& replay_from) {
  // What ended behind a round's end was in its rows, or began later.
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
  for (const CheckpointMark& round : rounds | std::views::reverse) {
    Search search(id, round);
    auto done = replay_rows(round.generation, [&](std::uint64_t first, std::span<const std::byte> slice) {
      return search.load(first, slice);
    });
    bool goes_on = true;
    const auto apply = [&](std::uint64_t first,
                           std::span<const std::byte> commit) -> std::expected<void, StoreError> {
      auto applied = search.apply(first, commit, end);
      goes_on = applied && *applied;
      if (goes_on) return {};
      return std::unexpected(applied ? StoreError{} : std::move(applied.error()));
    };
    if (done) done = replay_from(round.minimum, apply);
    if (!done && (goes_on || !done.error().message.empty())) return std::unexpected(std::move(done.error()));
    if (auto found = search.found(id)) return found;
    end = round.end;
  }
  return std::nullopt;
}

}  // namespace leat
