#include "text_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace leat::tools {

std::expected<std::string, std::string> read_text_file(const std::string& path) {
  const auto refuse = [&path](std::string_view why) {
    return std::unexpected(
        fmt::format("{}: {} (accepted: a readable file of at most {} MiB)", path, why, kInputBytesMax >> 20));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) return refuse(std::generic_category().message(errno));
  std::string text;
  char buffer[1 << 16];
  for (std::size_t bytes; (bytes = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) {
    text.append(buffer, bytes);
    if (text.size() > kInputBytesMax) return refuse("too large");
  }
  if (std::ferror(file.get()) != 0) return refuse(std::generic_category().message(errno));
  return text;
}

}  // namespace leat::tools
