// Contexts that lie apart: what stands for them.
#include "leat/context_image.h"

#include <xxhash.h>

#include <bit>

namespace leat {

ContextMark mark_of(std::string_view text, const ContextPlace& place) noexcept {
  // The place in the seed: a text that lies at another's place is found out. Bit 0 says that it is a mark.
  const std::uint64_t seed = place.pipeline_no ^ std::rotl(std::uint64_t{place.place}, 40);
  return static_cast<ContextMark>(XXH3_64bits_withSeed(text.data(), text.size(), seed) | 1);
}

ContextView as_remembered(const ContextView& context, const ContextPlace& place) noexcept {
  if (context.text.size() <= kContextInlineBytesMax) return context;
  return ContextView(mark_of(context.text, place));
}

ContextImage::ContextImage(const ContextView& context) : word_(static_cast<std::uint64_t>(context.mark)) {
  if (!context.text.empty()) {
    word_ = static_cast<std::uint64_t>(std::bit_cast<std::uintptr_t>(new const std::string(context.text)));
  }
}

ContextImage::~ContextImage() {
  if (!is_apart()) delete text();
}

const std::string* ContextImage::text() const noexcept {
  return std::bit_cast<const std::string*>(static_cast<std::uintptr_t>(word_));
}

ContextView ContextImage::view() const noexcept {
  if (is_apart()) return ContextView(static_cast<ContextMark>(word_));
  return word_ == 0 ? ContextView() : ContextView(*text());
}

}  // namespace leat
