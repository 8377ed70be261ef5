// libFuzzer: any bytes as what a store keeps. The first byte says what they are, the next ones where the
// pieces end; checksums are made right, so that what lies behind them is reached. Nothing may crash, and what
// was read must be whole: counts that agree, states that exist.
#include <xxhash.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "checkpoint_slice.h"
#include "commit.h"
#include "history_pack.h"
#include "leat/state_store.h"
#include "leat/store_image.h"
#include "leat/store_recovery.h"
#include "record_format.h"
#include "store_directory.h"

namespace leat {
namespace {

constexpr std::uint64_t kFirst = 1000;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_records: %s\n", what);
  std::abort();
}

std::vector<std::byte> with_checksum(std::span<const std::uint8_t> bytes, std::uint64_t seed) {
  std::vector<std::byte> whole(bytes.size() + record_format::kChecksumBytes);
  for (std::size_t at = 0; at < bytes.size(); ++at) whole[at] = std::byte{bytes[at]};
  record_format::put_u64(whole.data() + bytes.size(), XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed));
  return whole;
}

/// A commit that goes on with what the image holds.
std::vector<std::byte> linked(std::span<const std::uint8_t> piece, std::uint64_t first,
                              const StoreImage& image) {
  std::vector<std::uint8_t> bytes(piece.begin(), piece.end());
  if (bytes.size() > sizeof(std::uint64_t) && bytes[0] != record_format::kVersionUnlinked) {
    record_format::put_u64(reinterpret_cast<std::byte*>(bytes.data() + 1), image.hash());
  }
  return with_checksum(bytes, first);
}

/// What recovery would hand to the engine.
void check(const StoreImage& image) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    std::size_t open = 0;
    for (const TaskImage& task : pipeline.tasks) open += is_terminal(task.state) ? 0 : 1;
    require(pipeline.pipeline_no == number, "a pipeline lies under another's number");
    require(pipeline.open_tasks == open, "a count of open tasks is wrong");
  }
}

/// Takes "length, bytes" off the front, as a slice of what is left.
std::span<const std::uint8_t> take_piece(std::span<const std::uint8_t>& rest) {
  if (rest.size() < 2) return std::exchange(rest, {});
  const std::size_t size = std::min<std::size_t>(rest[0] | rest[1] << 8, rest.size() - 2);
  const auto piece = rest.subspan(2, size);
  rest = rest.subspan(2 + size);
  return piece;
}

/// A round's slices, then commits, each where the one before it ended.
void fold(std::span<const std::uint8_t> rest, bool has_round) {
  StoreImage image(has_round ? StoreImage::Keep::Unfinished : StoreImage::Keep::Everything);
  std::uint64_t events = 0;
  if (has_round) {
    image.begin_at({.generation = 1, .minimum = kFirst, .end = kFirst + 8});
    if (!image.load(kFirst, with_checksum(take_piece(rest), kFirst))) return;
    if (!check_whole(image)) return;
  }
  std::uint64_t first = kFirst;
  while (!rest.empty()) {
    const auto commit = linked(take_piece(rest), first, image);
    const auto done = image.apply(first, commit, [&events](const TransitionEvent& event) {
      require(event.workflow != nullptr && event.task < event.workflow->tasks.size(), "an event of no task");
      ++events;
    });
    if (!done) return;
    require(image.end_sequence() > first, "a commit takes no number");
    first = image.end_sequence();
  }
  check(image);
}

void read_history(std::span<const std::uint8_t> bytes) {
  const auto pack = with_checksum(bytes, kFirst);
  auto reader = HistoryPackReader::open(kFirst, pack);
  if (!reader) return;
  std::uint64_t count = 0;
  for (;;) {
    const auto summary = reader->next();
    if (!summary) return;
    if (*summary == nullptr) break;
    require((*summary)->error.size() <= bytes.size(), "a text longer than its pack");
    ++count;
  }
  require(count == reader->count(), "a pack has other summaries than it says");
}

void read_marks(std::span<const std::uint8_t> bytes) {
  const auto marks = CheckpointMarks::decode(with_checksum(bytes, 0));
  if (!marks) return;
  const std::string text = marks->encode();
  const auto again = CheckpointMarks::decode(std::as_bytes(std::span(text)));
  require(again.has_value() && *again == *marks, "rounds are not written as they were read");
}

void read_superblock_text(std::span<const std::uint8_t> bytes) {
  std::string text(bytes.begin(), bytes.end());
  char checksum[32];
  std::snprintf(checksum, sizeof checksum, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  const auto block = Superblock::parse(text + checksum);
  if (!block) return;
  const auto again = Superblock::parse(block->to_text());
  require(again.has_value() && *again == *block, "a superblock is not written as it was read");
}

}  // namespace
}  // namespace leat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      leat::fold(rest, false);
      break;
    case 1:
      leat::fold(rest, true);
      break;
    case 2:
      leat::read_history(rest);
      break;
    case 3:
      leat::read_marks(rest);
      break;
    default:
      leat::read_superblock_text(rest);
  }
  return 0;
}
