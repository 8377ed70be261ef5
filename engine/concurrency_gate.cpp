#include "concurrency_gate.h"

#include <algorithm>

#include "pipeline.h"

namespace leat {

std::uint32_t ConcurrencyGate::limit_of(std::string_view key) const noexcept {
  std::uint32_t limit = 1;
  std::size_t longest = 0;
  for (const auto& [keys, pipelines_max] : limits_) {
    if (keys == key) return pipelines_max;
    const std::string_view beginning = std::string_view(keys).substr(0, keys.size() - 1);
    if (keys.back() != '*' || keys.size() <= longest || !key.starts_with(beginning)) continue;
    longest = keys.size();
    limit = pipelines_max;
  }
  return limit;
}

void ConcurrencyGate::limit(std::string_view keys, std::uint32_t pipelines_max) {
  Releases releases;
  {
    const MutexLock lock(mutex_);
    const auto known = std::ranges::find(limits_, keys, [](const auto& limit) { return limit.first; });
    if (known == limits_.end()) {
      limits_.emplace_back(keys, pipelines_max);
    } else {
      known->second = pipelines_max;
    }
    for (const auto& [name, key] : keys_) {
      key->limit = limit_of(name);
      let_in(*key, releases);
    }
  }
  release(std::move(releases));
}

///
ConcurrencyGate::Key& ConcurrencyGate::find_or_make(std::string_view name) {
  if (const auto known = keys_.find(name); known != keys_.end()) return *known->second;
  auto key = std::make_unique<Key>();
  key->name = name;
  key->limit = limit_of(name);
  Key& made = *key;
  keys_.emplace(made.name, std::move(key));
  return made;
}

/// Lets in whom the limit allows.
void ConcurrencyGate::let_in(Key& key, Releases& releases) {
  while (open_ && key.inside < key.limit && !key.waiting.empty()) {
    Member& next = members_.at(*key.waiting.begin());
    key.waiting.erase(key.waiting.begin());
    next.inside = true;
    ++key.inside;
    if (!next.kept.empty()) releases.emplace_back(next.pipeline, std::exchange(next.kept, {}));
  }
}

/// A pipeline stays while tasks of it that are Ready have not been released.
void ConcurrencyGate::release(Releases&& releases) noexcept {
  for (const auto& [pipeline, tasks] : releases) {
    for (const std::uint32_t task : tasks) pipeline->release_kept(task);
  }
}

void ConcurrencyGate::hold(std::uint64_t pipeline_no, std::string_view name) {
  const MutexLock lock(mutex_);
  Key& key = find_or_make(name);
  if (!members_.try_emplace(pipeline_no, Member{.key = &key, .inside = true}).second) return;
  ++key.inside;
  ++key.members;
}

void ConcurrencyGate::join(Pipeline& pipeline, std::string_view name, Joins how) {
  const MutexLock lock(mutex_);
  Key& key = find_or_make(name);
  const bool inside = how == Joins::Inside;
  const auto [place, is_new] = members_.try_emplace(
      pipeline.number(), Member{.key = &key, .inside = inside, .paused = how == Joins::Paused});
  Member& member = place->second;
  member.pipeline = &pipeline;
  if (!is_new) return;  // held
  ++key.members;
  key.inside += inside;
  Releases none;  // nobody else could go in before
  if (how == Joins::Due) wait(pipeline.number(), member, none);
}

/// From here on the pipeline may be let in.
void ConcurrencyGate::wait(std::uint64_t pipeline_no, Member& member, Releases& releases) {
  member.due = true;
  if (member.paused) return;
  member.key->waiting.insert(member.key->waiting.end(), pipeline_no);
  let_in(*member.key, releases);
}

bool ConcurrencyGate::pass(const Pipeline& pipeline, std::uint32_t task) {
  const MutexLock lock(mutex_);
  const auto place = members_.find(pipeline.number());
  if (place == members_.end()) return true;
  Member& member = place->second;
  Releases none;  // its own task goes by this call's answer, and nobody else could go in before
  if (!member.inside && !member.due) wait(pipeline.number(), member, none);
  if (!member.inside) member.kept.push_back(task);
  return member.inside;
}

void ConcurrencyGate::step_aside(const Pipeline& pipeline) {
  Releases releases;
  {
    const MutexLock lock(mutex_);
    const auto place = members_.find(pipeline.number());
    if (place == members_.end()) return;
    Member& member = place->second;
    member.paused = true;
    member.key->waiting.erase(pipeline.number());
    member.key->inside -= std::exchange(member.inside, false);
    let_in(*member.key, releases);
  }
  release(std::move(releases));
}

void ConcurrencyGate::step_up(const Pipeline& pipeline) {
  Releases releases;
  {
    const MutexLock lock(mutex_);
    const auto place = members_.find(pipeline.number());
    if (place == members_.end()) return;
    Member& member = place->second;
    if (std::exchange(member.paused, false) && member.due) wait(pipeline.number(), member, releases);
  }
  release(std::move(releases));
}

void ConcurrencyGate::leave(const Pipeline& pipeline) {
  Releases releases;
  {
    const MutexLock lock(mutex_);
    const auto place = members_.find(pipeline.number());
    if (place == members_.end()) return;
    Member member = std::move(place->second);
    members_.erase(place);
    Key& key = *member.key;
    if (member.inside) {
      --key.inside;
    } else {
      key.waiting.erase(pipeline.number());
    }
    // It was cancelled while it waited: its lanes let go of its tasks.
    if (!member.kept.empty()) releases.emplace_back(member.pipeline, std::move(member.kept));
    let_in(key, releases);
    if (--key.members == 0) keys_.erase(keys_.find(key.name));
  }
  release(std::move(releases));
}

void ConcurrencyGate::open() {
  Releases releases;
  {
    const MutexLock lock(mutex_);
    open_ = true;
    for (const auto& [name, key] : keys_) let_in(*key, releases);
    // Whatever a hash table's order is.
    std::ranges::sort(releases, {}, [](const auto& one) { return one.first->number(); });
  }
  release(std::move(releases));
}

void ConcurrencyGate::clear() {
  const MutexLock lock(mutex_);
  members_.clear();
  keys_.clear();
}

bool ConcurrencyGate::waits(const Pipeline& pipeline) const {
  const MutexLock lock(mutex_);
  const auto member = members_.find(pipeline.number());
  return member != members_.end() && !member->second.inside;
}

std::string ConcurrencyGate::key_of(const Pipeline& pipeline) const {
  const MutexLock lock(mutex_);
  const auto member = members_.find(pipeline.number());
  return member == members_.end() ? std::string() : member->second.key->name;
}

}  // namespace leat
