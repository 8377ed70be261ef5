// Parents and children: how a child begins, and who is told when one of both ends.
//
// A child's end is in the store before its parent is told, and says what the parent is to be told: the
// store's fold keeps that for the parent until the parent's own record of the signal, so that a crash between
// loses nothing, and a round of the checkpoint is not complete in between. What a parent has to tell needs no
// record: a child that is carried on finds its parent gone.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "scheduler.h"

namespace leat {

std::expected<void, Error> Scheduler::begin_child(Pipeline& parent, const Uuid& id, const ParentLink& link,
                                                  const Workflow& workflow, std::string context) {
  const std::pair child(id, link);
  auto begun = submit(
      workflow, {.context = std::move(context), .durability = parent.level(), .priority = parent.priority()},
      &child);
  if (!begun) return std::unexpected(std::move(begun.error()));
  // An attempt that its task did not wait for may begin it behind the end of the pipeline.
  if (has_lost_parent(Pipeline::of(*begun))) pass_on({{.to = id}});
  return {};
}

void Scheduler::cancel_children(Pipeline& parent) noexcept {
  std::vector<Word> words;
  for (const Uuid& child : parent.open_children()) words.push_back({.to = child});
  pass_on(std::move(words));
}

/// The pipeline has ended at its level: its parent and its children learn it.
void Scheduler::part(Pipeline& ended) noexcept {
  if (ended.is_child()) {
    pass_on({{.to = ended.parent().pipeline,
              .cancel = false,
              .raised = ended.level() != Durability::Memory,
              .name = ended.parent().name,
              .value = std::move(ended.word_to_parent())}});
  }
  if (ended.workflow().starts_children) cancel_children(ended);
}

void Scheduler::child_ends() noexcept {
  // relaxed: what the child publishes next orders it
  rows_due_.fetch_add(1, std::memory_order_relaxed);
}

void Scheduler::child_end_taken() noexcept {
  kept(0);
}

void Scheduler::pass_on(std::vector<Word>&& words) noexcept {
  if (words.empty()) return;
  {
    const MutexLock lock(passing_);
    words_.insert(words_.end(), std::make_move_iterator(words.begin()), std::make_move_iterator(words.end()));
  }
  timers_.schedule(clock_.steady_ns(), *this, kWords);
}

void Scheduler::on_timer(std::uint64_t token) noexcept {
  constexpr std::chrono::milliseconds kLater{5};  // others free credits
  if (token == kDeadlines) return look_at_deadlines();
  if (token == kFreed) {
    if (accepting() && !try_adopt_freed())
      timers_.schedule(time_after(clock_.steady_ns(), kLater), *this, kFreed);
    return;
  }
  std::vector<Word> words;
  {
    const MutexLock lock(passing_);
    words.swap(words_);
  }
  const auto left = std::ranges::find_if_not(words, [this](Word& word) { return pass(word); });
  if (left == words.end()) return;
  {
    const MutexLock lock(passing_);
    words_.insert(words_.begin(), std::make_move_iterator(left), std::make_move_iterator(words.end()));
  }
  timers_.schedule(time_after(clock_.steady_ns(), kLater), *this, kWords);
}

/// @return  false: the journal has no room now
bool Scheduler::pass(Word& word) noexcept {
  const auto found = find_live(word.to);
  if (!found) {  // it has ended, or waits for its version
    if (!word.cancel) note_child_end(word);
    if (!word.cancel && word.raised) child_end_taken();
    return true;
  }
  Pipeline& pipeline = Pipeline::of(*found);
  if (pipeline.level() != Durability::Memory && !journal_->try_reserve(1)) return false;
  if (word.cancel) {
    pipeline.post_control(PipelineMessage::Kind::Cancel);
  } else {
    pipeline.post_child_end(std::move(word.name), std::move(word.value));
  }
  return true;
}

/// What parents and children the store holds. @pre  nothing runs yet
void Scheduler::remember_kin(const StoreImage& image) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    const ParentImage& parent = pipeline.traits->parent;
    if (parent.empty()) continue;
    children_remembered_.insert(pipeline.id);
    if (image.pipelines().contains(parent.pipeline_no)) parents_waiting_.insert(parent.pipeline_no);
  }
}

/// Children stay remembered until their parents are carried on.
void Scheduler::hold_back_children(std::map<std::uint64_t, PipelineImage>& from,
                                   std::map<std::uint64_t, PipelineImage>& to) {
  if (parents_waiting_.empty()) return;
  for (auto next = from.begin(); next != from.end();) {
    const auto pipeline = next++;
    if (parents_waiting_.contains(pipeline->second.traits->parent.pipeline_no))
      to.insert(from.extract(pipeline));
  }
}

/// Of a pipeline that is about to be restored, and can be found by now.
///
/// @param traits  of its image
/// @return        whether children that waited for it can be carried on
bool Scheduler::join_kin(Pipeline& pipeline, const TraitsImage& traits) {
  std::vector<Word> words;
  bool has_freed = false;
  if (pipeline.workflow().starts_children) {
    for (const auto& [name, value] : traits.child_ends) {
      child_ends();
      words.push_back({.to = pipeline.id(), .cancel = false, .raised = true, .name = name, .value = value});
    }
    const MutexLock lock(mutex_);
    pipeline.remember_children(traits.child_ends, children_remembered_);
    has_freed = parents_waiting_.erase(pipeline.number()) > 0;
  }
  if (pipeline.is_child() && has_lost_parent(pipeline)) words.push_back({.to = pipeline.id()});
  pass_on(std::move(words));
  return has_freed;
}

/// Whether the parent has ended, so that nobody tells the child. @pre  the child can be found
bool Scheduler::has_lost_parent(const Pipeline& child) const {
  const auto parent = find_live(child.parent().pipeline);
  // What ends after this look finds the child: its end is known before it looks for children.
  return !parent || Pipeline::of(*parent).over();
}

}  // namespace leat
