// Tasks that a pipeline takes over from an earlier one, to bytes and back. record_format.h documents the form.
#include <string>

#include "leat/transition_group.h"
#include "record_format.h"
#include "record_parser.h"

namespace leat {

std::string encode_done(std::span<const TaskDone> tasks) {
  std::string bytes;
  const auto varint = [&bytes](std::uint64_t value) {
    std::byte buffer[record_format::kVarintBytesMax];
    const std::byte* const end = record_format::put_varint(buffer, value);
    bytes.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(end - buffer));
  };
  for (const TaskDone& task : tasks) {
    varint(task.task);
    bytes.push_back(static_cast<char>(task.state));
    varint(task.context.size());
    bytes.append(task.context);
  }
  return bytes;
}

bool decode_done(std::string_view bytes, const std::function<bool(const TaskDone&)>& take) {
  RecordParser in(std::as_bytes(std::span(bytes)));
  while (in.ok() && !in.rest().empty()) {
    TaskDone task;
    task.task = in.task();
    task.state = in.enumerator(in.u8(), TaskState::Cancelled);
    task.context = in.text();
    const bool ended = task.state == TaskState::Completed || task.state == TaskState::Failed ||
                       task.state == TaskState::Skipped;
    if (!in.ok() || !ended || !take(task)) return false;
  }
  return in.ok();
}

}  // namespace leat
