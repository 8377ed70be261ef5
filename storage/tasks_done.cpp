// What a pipeline takes over from an earlier one, and what it has been told, to bytes and back.
// record_format.h documents the form.
#include "tasks_done.h"

#include <string>
#include <utility>

#include "check.h"
#include "record_format.h"
#include "record_parser.h"

namespace leat {
namespace {

void append(std::string& bytes, std::uint64_t value) {
  std::byte buffer[record_format::kVarintBytesMax];
  const std::byte* const end = record_format::put_varint(buffer, value);
  bytes.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(end - buffer));
}

void append(std::string& bytes, std::string_view text) {
  append(bytes, text.size());
  bytes.append(text);
}

}  // namespace

std::string encode_done(std::span<const TaskDone> tasks) {
  std::string bytes;
  for (const TaskDone& task : tasks) {
    append(bytes, std::uint64_t{task.task});
    bytes.push_back(static_cast<char>(task.state));
    if (task.context.is_apart()) {
      append(bytes, std::uint64_t{record_format::kContextMarkBytes});
      bytes.push_back(static_cast<char>(record_format::kContextMark));
      std::byte buffer[sizeof(std::uint64_t)];
      record_format::put_u64(buffer, static_cast<std::uint64_t>(task.context.mark));
      bytes.append(reinterpret_cast<const char*>(buffer), sizeof buffer);
      continue;
    }
    append(bytes, task.context.text);
  }
  return bytes;
}

bool decode_done(std::string_view bytes, const std::function<bool(const TaskDone&)>& take) {
  RecordParser in(std::as_bytes(std::span(bytes)));
  while (in.ok() && !in.rest().empty()) {
    TaskDone task;
    task.task = in.task();
    task.state = in.enumerator(in.u8(), TaskState::Cancelled);
    task.context = in.context();
    const bool ended = task.state == TaskState::Completed || task.state == TaskState::Failed ||
                       task.state == TaskState::Skipped;
    if (!in.ok() || !ended || !take(task)) return false;
  }
  return in.ok();
}

std::vector<TaskDone> decode_all_done(std::string_view bytes) {
  std::vector<TaskDone> tasks;
  const bool whole = decode_done(bytes, [&tasks](const TaskDone& task) {
    tasks.push_back(task);
    return true;
  });
  LEAT_CHECK(whole);
  return tasks;
}

std::string encode_remembered(std::span<const TaskDone> tasks, std::uint64_t pipeline_no) {
  std::vector<TaskDone> remembered(tasks.begin(), tasks.end());
  for (TaskDone& task : remembered) {
    task.context = as_remembered(task.context, ContextPlace::of_task(pipeline_no, task.task));
  }
  return encode_done(remembered);
}

std::string encode_signals(const SignalValues& signals) {
  std::string bytes;
  for (const auto& [name, value] : signals) {
    append(bytes, name);
    append(bytes, value);
  }
  return bytes;
}

bool decode_signals(std::string_view bytes, SignalValues& signals) {
  RecordParser in(std::as_bytes(std::span(bytes)));
  while (in.ok() && !in.rest().empty()) {
    std::string name(in.text());
    std::string value(in.text());
    if (in.ok() && !signals.emplace(std::move(name), std::move(value)).second) return false;
  }
  return in.ok();
}

}  // namespace leat
