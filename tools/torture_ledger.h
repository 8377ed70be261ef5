// What the lives of `leat torture` have told, held against the store after each death.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "leat/store_image.h"
#include "torture_report.h"

namespace leat::tools {

/// Thread-safety: one thread.
class TortureLedger {
 public:
  void hear(const TortureReport& said);
  /// Holds the store, after a death, against what was heard.
  ///
  /// @return what is wrong; empty: nothing
  std::vector<std::string> check(const std::string& store);
  /// Holds what the latest check() found in the store, after a life that was to end all, against that.
  std::vector<std::string> check_ended() const;

  std::uint64_t acknowledgements() const noexcept { return acknowledgements_; }
  std::uint64_t attempts() const noexcept { return attempts_; }
  /// Of attempts that a death had cut off.
  std::uint64_t repeats() const noexcept { return repeats_; }
  /// Large ones that were found whole, each once a death.
  std::uint64_t contexts() const noexcept { return contexts_; }

 private:
  struct AttemptKey {
    Uuid pipeline;
    std::uint32_t task;
    std::uint32_t attempt;
    friend auto operator<=>(const AttemptKey&, const AttemptKey&) = default;
  };
  struct Remembered {
    PipelineState state;
    TaskImages tasks;
    std::uint64_t pipeline_no;
    ContextImage context;
    std::uint32_t open_tasks;
  };

  /// As the store remembered it at the death before.
  bool has_ended(const AttemptKey& key) const;
  void check_pipelines(const std::map<Uuid, Remembered>& now, std::vector<std::string>& wrong) const;
  void check_completed(const std::map<Uuid, Remembered>& now, std::vector<std::string>& wrong) const;
  /// Of the contexts that lie apart in the store: each is what its record has a mark of, and what its task
  /// told.
  void check_contexts(const std::string& store, const std::map<Uuid, Remembered>& now,
                      std::vector<std::string>& wrong);

  std::set<Uuid> acknowledged_;          // above level Memory
  std::map<Uuid, PipelineState> ended_;  // likewise
  std::set<std::pair<Uuid, std::uint32_t>> claimed_now_;  // since the death before; by task number
  std::set<std::pair<Uuid, std::uint32_t>> claimed_;      // before that
  std::set<AttemptKey> began_;
  std::map<AttemptKey, ContextMark> done_;  // with what it saved
  std::map<Uuid, Remembered> remembered_;   // by the store, at the death before
  /// Begun, and at the death before not ended in the store: each of them may begin again, once.
  std::set<AttemptKey> in_flight_;
  std::vector<std::string> wrong_;  // heard since
  std::uint64_t acknowledgements_ = 0;
  std::uint64_t attempts_ = 0;
  std::uint64_t repeats_ = 0;
  std::uint64_t contexts_ = 0;
};

}  // namespace leat::tools
