#include "torture_ledger.h"

#include <fmt/format.h>

#include <utility>

#include "leat/store_reader.h"

namespace leat::tools {

void TortureLedger::hear(const TortureReport& said) {
  const AttemptKey key{said.pipeline, said.task, said.attempt};
  switch (said.kind) {
    case TortureReport::Kind::Opened:
      return;
    case TortureReport::Kind::Acknowledged:
      ++acknowledgements_;
      if (said.level != Durability::Memory) acknowledged_.insert(said.pipeline);
      return;
    case TortureReport::Kind::Ended:
      ++acknowledgements_;
      if (said.level != Durability::Memory) ended_[said.pipeline] = said.state;
      return;
    case TortureReport::Kind::Done:
      done_[key] = said.saved;
      return;
    case TortureReport::Kind::Early:
      // What was Running once need not wait again.
      if (!claimed_.contains({said.pipeline, said.task})) {
        wrong_.push_back(fmt::format("task {} of pipeline {} begins before its time", said.task,
                                     said.pipeline.to_string()));
      }
      return;
    case TortureReport::Kind::Wrong:
      wrong_.push_back(fmt::format("task {} of pipeline {} has found another context than was saved",
                                   said.task, said.pipeline.to_string()));
      return;
    case TortureReport::Kind::Claimed:
      claimed_now_.emplace(said.pipeline, said.task);
      return;
    case TortureReport::Kind::Began:
      break;
  }
  ++attempts_;
  const bool again = !began_.insert(key).second;
  if (again) ++repeats_;
  const bool was_in_flight = in_flight_.erase(key) != 0;  // once for each death
  if (has_ended(key) || (again && !was_in_flight)) {
    wrong_.push_back(fmt::format("attempt {} of task {} of pipeline {} runs again, though {}", said.attempt,
                                 said.task, said.pipeline.to_string(),
                                 has_ended(key) ? "its end was remembered" : "it was not in flight"));
  }
}

bool TortureLedger::has_ended(const AttemptKey& key) const {
  const auto before = remembered_.find(key.pipeline);
  if (before == remembered_.end() || key.task >= before->second.tasks.size()) return false;
  const TaskImage& task = before->second.tasks[key.task];
  return is_terminal(task.state) || task.attempt > key.attempt;
}

std::vector<std::string> TortureLedger::check(const std::string& store) {
  std::vector<std::string> wrong = std::exchange(wrong_, {});
  claimed_.merge(claimed_now_);
  auto image = read_rocksdb_store(store);
  if (!image) {
    // Nothing was acknowledged before the store was there at all.
    if (image.error().code == StoreErrorCode::NotFound && acknowledged_.empty()) return wrong;
    wrong.push_back(fmt::format("the store cannot be read: {}", image.error().message));
    return wrong;
  }
  std::map<Uuid, Remembered> now;
  for (auto& [number, pipeline] : image->take_pipelines()) {
    now[pipeline.id] = {pipeline.state, std::move(pipeline.tasks), number, std::move(pipeline.context),
                        pipeline.open_tasks};
  }
  check_pipelines(now, wrong);
  check_completed(now, wrong);
  check_contexts(store, now, wrong);
  remembered_ = std::move(now);
  in_flight_.clear();
  for (const AttemptKey& key : began_) {
    if (remembered_.contains(key.pipeline) && !has_ended(key)) in_flight_.insert(key);
  }
  return wrong;
}

std::vector<std::string> TortureLedger::check_ended() const {
  std::vector<std::string> wrong;
  for (const auto& [id, pipeline] : remembered_) {
    if (is_terminal(pipeline.state) && pipeline.open_tasks == 0) continue;
    wrong.push_back(
        fmt::format("pipeline {} has not ended: it is {}", id.to_string(), to_string(pipeline.state)));
  }
  return wrong;
}

void TortureLedger::check_pipelines(const std::map<Uuid, Remembered>& now,
                                    std::vector<std::string>& wrong) const {
  for (const Uuid& id : acknowledged_) {
    if (!now.contains(id))
      wrong.push_back(fmt::format("pipeline {} was acknowledged and is lost", id.to_string()));
  }
  for (const auto& [id, state] : ended_) {
    const auto found = now.find(id);
    if (found != now.end() && found->second.state == state) continue;
    // The end of one that an earlier life submitted at level Memory is not heard of again.
    wrong.push_back(fmt::format(
        "the end of pipeline {} was acknowledged as {} and is {}", id.to_string(), to_string(state),
        found == now.end() ? std::string_view("lost") : to_string(found->second.state)));
  }
}

/// Every end that is remembered was told by the task itself, before.
void TortureLedger::check_completed(const std::map<Uuid, Remembered>& now,
                                    std::vector<std::string>& wrong) const {
  for (const auto& [id, pipeline] : now) {
    for (std::uint32_t i = 0; i < pipeline.tasks.size(); ++i) {
      const TaskImage& task = pipeline.tasks[i];
      if (task.state != TaskState::Completed || done_.contains({id, i, task.attempt})) continue;
      wrong.push_back(
          fmt::format("task {} of pipeline {} is Completed by attempt {}, which never ran to its end", i,
                      id.to_string(), task.attempt));
    }
  }
}

void TortureLedger::check_contexts(const std::string& store, const std::map<Uuid, Remembered>& now,
                                   std::vector<std::string>& wrong) {
  struct Marks {
    ContextMark remembered, saved;
  };
  std::map<ContextPlace, Marks> apart;
  const auto read = read_rocksdb_contexts(store, [&apart](const ContextPlace& place, std::string_view text) {
    apart[place] = {mark_of(text, place), mark_of(text, {})};
  });
  if (!read) wrong.push_back(fmt::format("the contexts cannot be read: {}", read.error().message));
  const auto expect = [&](const ContextImage& image, const ContextPlace& place, ContextMark told,
                          const std::string& whose) {
    ContextMark saved = mark_of(std::string_view(image), {});
    if (image.is_apart()) {
      const auto found = apart.find(place);
      if (found == apart.end() || found->second.remembered != image.mark())
        return wrong.push_back(fmt::format("the context {} is lost", whose));
      saved = found->second.saved;
      ++contexts_;
    }
    if (told != ContextMark::None && saved != told)
      wrong.push_back(fmt::format("the context {} is not the one that it told of", whose));
  };
  for (const auto& [id, pipeline] : now) {
    expect(pipeline.context, ContextPlace::of_pipeline(pipeline.pipeline_no), ContextMark::None,
           fmt::format("given to pipeline {}", id.to_string()));
    for (std::uint32_t i = 0; i < pipeline.tasks.size(); ++i) {
      const TaskImage& task = pipeline.tasks[i];
      const auto told = done_.find({id, i, task.attempt});
      if (task.state != TaskState::Completed || told == done_.end()) continue;  // see check_completed()
      expect(task.context, ContextPlace::of_task(pipeline.pipeline_no, i), told->second,
             fmt::format("of task {} of pipeline {}", i, id.to_string()));
    }
  }
}

}  // namespace leat::tools
