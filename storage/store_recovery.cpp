#include "leat/store_recovery.h"

#include <string>

namespace leat {

std::expected<StoreImage, StoreError> recover_unfinished(
    StateStore& store, const std::function<void(const RecoveryProgress&)>& progress) {
  StoreImage image(StoreImage::Keep::Unfinished);
  const CheckpointMarks marks = store.checkpoints();
  const CheckpointMark& mark = marks.newest();
  image.begin_at(mark);
  const auto tell = [&](std::uint64_t folded_to) {
    if (progress) progress({image.pipelines().size(), folded_to, store.journal_end()});
  };
  if (mark.generation != 0) {
    auto loaded =
        store.replay_rows(mark.generation, [&](std::uint64_t first, std::span<const std::byte> slice) {
          auto done = image.load(first, slice);
          if (done) tell(0);
          return done;
        });
    if (!loaded) return std::unexpected(std::move(loaded.error()));
  }
  auto folded = store.replay_from(mark.minimum, [&](std::uint64_t first, std::span<const std::byte> commit) {
    auto done = image.apply(first, commit);
    if (done) tell(image.end_sequence());
    return done;
  });
  if (!folded) return std::unexpected(std::move(folded.error()));
  // A reader that runs out of file descriptors can end early and say nothing.
  if (image.end_sequence() != 0 && image.end_sequence() < store.journal_end()) {
    return std::unexpected(StoreError{
        StoreErrorCode::Io, "the journal was read up to number " + std::to_string(image.end_sequence()) +
                                " and ends at " + std::to_string(store.journal_end()) +
                                ": too few file descriptors?"});
  }
  if (auto whole = check_whole(image); !whole) return std::unexpected(std::move(whole.error()));
  return image;
}

std::expected<void, StoreError> check_whole(const StoreImage& image) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    const auto workflow = image.workflows().find(pipeline.workflow_no);
    if (workflow != image.workflows().end() && workflow->second.tasks.size() == pipeline.tasks.size())
      continue;
    return std::unexpected(StoreError{
        StoreErrorCode::Damaged,
        "pipeline " + std::to_string(number) + " names workflow " + std::to_string(pipeline.workflow_no) +
            ", which neither the checkpoint nor the journal defines with as many tasks"});
  }
  return {};
}

}  // namespace leat
