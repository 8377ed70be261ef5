// A workflow's version: a hash over a canonical encoding. Every text goes in with its length, every
// number as eight bytes, lowest first, so that no two workflows share an encoding and no machine's
// byte order shows.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <xxhash.h>

#include "workflow_definition.h"

namespace leat {
namespace {

/// Names this encoding. Another one must have another name: versions are stored with pipelines.
constexpr std::string_view kEncoding = "leat workflow 1";

/// Stands where the next task's name would; no name is that long. So versions from before these options stay.
constexpr std::uint64_t kMoreOptions = ~std::uint64_t{0};
constexpr std::uint64_t kAtMemory = ~std::uint64_t{1};  // likewise
constexpr std::uint64_t kSignals = ~std::uint64_t{10};  // likewise
constexpr std::uint64_t kRescues = ~std::uint64_t{2};
constexpr std::uint64_t kChildren = ~std::uint64_t{11};
constexpr std::uint64_t kMaxAge = ~std::uint64_t{12};
constexpr std::uint64_t kClasses = ~std::uint64_t{13};

class Encoder {
 public:
  Encoder() noexcept { XXH3_64bits_reset(&state_); }

  void number(std::uint64_t value) noexcept {
    std::array<unsigned char, 8> bytes;
    for (unsigned char& byte : bytes) {
      byte = static_cast<unsigned char>(value & 0xFF);
      value >>= 8;
    }
    XXH3_64bits_update(&state_, bytes.data(), bytes.size());
  }
  void number(double value) noexcept { number(std::bit_cast<std::uint64_t>(value)); }
  void duration(std::chrono::nanoseconds value) noexcept {
    number(static_cast<std::uint64_t>(value.count()));
  }

  void text(std::string_view value) noexcept {
    number(std::uint64_t{value.size()});
    XXH3_64bits_update(&state_, value.data(), value.size());
  }

  void retry(const RetryPolicy& policy) noexcept {
    number(static_cast<std::uint64_t>(policy.max_attempts));
    number(static_cast<std::uint64_t>(policy.backoff));
    duration(policy.initial);
    number(policy.multiplier);
    number(policy.base);
    duration(policy.cap);
    number(std::uint64_t{policy.jitter});
    number(static_cast<std::uint64_t>(policy.on));
    number(std::uint64_t{policy.patterns.size()});
    for (const std::string& pattern : policy.patterns) text(pattern);
  }

  void more_retry(const RetryPolicy& policy) noexcept {
    if (policy.max_age.count() != 0) {
      number(kMaxAge);
      duration(policy.max_age);
    }
    if (policy.classes.empty()) return;
    number(kClasses);
    number(std::uint64_t{policy.classes.size()});
    for (const ClassRetry& own : policy.classes) {
      number(static_cast<std::uint64_t>(own.error_class));
      number(static_cast<std::uint64_t>(own.max_attempts));
      number(static_cast<std::uint64_t>(own.backoff));
      duration(own.initial);
      number(own.multiplier);
      number(own.base);
      duration(own.cap);
    }
  }

  void signals(const Workflow::Definition& workflow, const TaskDefinition& task) noexcept {
    if (!task.signal && task.awaits.empty()) return;
    number(kSignals);
    text(task.signal ? std::string_view(workflow.signals[*task.signal].name) : std::string_view());
    duration(task.signal_timeout);
    number(std::uint64_t{task.awaits.size()});
    for (const std::uint32_t signal : task.awaits) text(workflow.signals[signal].name);
  }

  void children(const Workflow::Definition& workflow, const TaskDefinition& task) noexcept {
    if (task.children.empty()) return;
    number(kChildren);
    number(std::uint64_t{task.children.size()});
    for (const std::uint32_t child : task.children) text(workflow.signals[child].name);
  }

  void task(const TaskDefinition& task) {
    text(task.name);
    number(std::uint64_t{task.after.size()});
    for (const std::uint32_t dependency : task.after) number(std::uint64_t{dependency});
    retry(task.retry);
    duration(task.timeout);
    text(task.trigger.to_json());
    text(task.executor);
    text(task.config);
    if (task.at_memory) number(kAtMemory);
    if (task.rescues_max != TaskOptions().rescues_max) {
      number(kRescues);
      number(std::uint64_t{task.rescues_max});
    }
    if (task.queue_timeout.count() == 0 && task.total_timeout.count() == 0) return;
    number(kMoreOptions);
    duration(task.queue_timeout);
    duration(task.total_timeout);
  }

  std::uint64_t digest() const noexcept { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

}  // namespace

std::uint64_t hash_definition(const Workflow::Definition& definition) {
  Encoder encoder;
  for (const std::string_view text :
       {kEncoding, std::string_view(definition.tenant), std::string_view(definition.package),
        std::string_view(definition.name), std::string_view(definition.version_tag),
        std::string_view(definition.text)}) {
    encoder.text(text);
  }
  encoder.number(std::uint64_t{definition.tasks.size()});
  for (const TaskDefinition& task : definition.tasks) {
    encoder.task(task);
    encoder.signals(definition, task);
    encoder.children(definition, task);
    encoder.more_retry(task.retry);
  }
  return encoder.digest();
}

}  // namespace leat
