#include "torture.h"

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include "exit_status.h"
#include "leat/store_verifier.h"
#include "torture_child.h"
#include "torture_ledger.h"
#include "torture_plan.h"

namespace leat::tools {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr int kLivesOfAStore = 40;  // then a new one, so that a check stays short
constexpr auto kLongestLife = 20s;  // a life that does not die by then has come to a stand
constexpr auto kLongestDrain = std::chrono::microseconds(90s);  // likewise one that ends all

/// The observer.
class Torture {
 public:
  Torture(const TortureOptions& options, std::uint64_t seed) : options_(options), random_(seed) {}

  /// One life, and one more where it is its store's last but one. @return whether nothing was found
  bool live_once();
  /// The last life of a store, which ends all that is left in it. @return whether nothing was found
  bool drain();
  void summarise(std::uint64_t seed, bool sound) const;

 private:
  bool found(const TorturePlan& plan, const std::vector<std::string>& wrong) const;
  bool live(const TorturePlan& plan);
  bool check(const TorturePlan& plan);
  void begin_store();

  const TortureOptions& options_;
  std::mt19937_64 random_;
  TortureLedger ledger_;
  int lives_ = 0;
  int lives_of_store_ = 0;
  int kills_ = 0;
  std::uint64_t acknowledgements_ = 0, attempts_ = 0, repeats_ = 0, contexts_ = 0;  // on earlier stores
};

bool Torture::found(const TorturePlan& plan, const std::vector<std::string>& wrong) const {
  for (const std::string& line : wrong)
    fmt::print(stderr, "leat: life {} ({}): {}\n", lives_, plan.to_string(), line);
  return wrong.empty();
}

bool Torture::live_once() {
  const bool sound = live(TorturePlan::make(random_));
  if (!sound || lives_of_store_ < kLivesOfAStore) return sound;
  if (!drain()) return false;
  begin_store();
  return true;
}

bool Torture::drain() {
  return live(TorturePlan::to_end_all());
}

void Torture::begin_store() {
  std::filesystem::remove_all(options_.store);
  acknowledgements_ += ledger_.acknowledgements();
  attempts_ += ledger_.attempts();
  repeats_ += ledger_.repeats();
  contexts_ += ledger_.contexts();
  ledger_ = TortureLedger();
  lives_of_store_ = 0;
}

bool Torture::live(const TorturePlan& plan) {
  ++lives_;
  ++lives_of_store_;
  TortureChild child("/proc/self/exe", {.store = options_.store,
                                        .seed = random_(),
                                        .die_at = plan.point,
                                        .die_after = plan.passes,
                                        .trouble = plan.trouble,
                                        .hours = plan.hours,
                                        .drain = plan.drain});
  if (!child.born()) return found(plan, {"no process could be made"});
  const auto hear = [this](const TortureReport& said) { ledger_.hear(said); };
  const auto birth = SteadyClock::now();
  const auto length = plan.drain ? kLongestDrain : plan.point.empty() ? plan.kill_after : kLongestLife / 10;
  bool silent = child.listen(hear, birth + length);
  if (!silent && plan.freeze.count() > 0) {
    child.signal(SIGSTOP);
    std::this_thread::sleep_for(plan.freeze);
    child.signal(SIGCONT);
    silent = child.listen(hear, SteadyClock::now() + plan.kill_after);
  }
  if (!silent && plan.clean) {
    child.signal(SIGTERM);
    silent = child.listen(hear, SteadyClock::now() + kLongestLife);
    if (!silent) return found(plan, {"it did not stop"});
  }
  if (!silent) child.signal(SIGKILL);
  child.listen(hear, SteadyClock::now() + kLongestLife);
  const int status = child.wait();
  if (status == kTortureDeadly + SIGKILL) ++kills_;
  if (!plan.may_end_so(status)) return found(plan, {fmt::format("it ended with status {}", status)});
  return check(plan);
}

bool Torture::check(const TorturePlan& plan) {
  if (!found(plan, ledger_.check(options_.store))) return false;
  if (plan.drain && !found(plan, ledger_.check_ended())) return false;
  if (lives_ % 8 != 0 && !plan.drain) return true;
  const auto findings = verify_rocksdb_store(options_.store);
  if (!findings)
    return findings.error().code == StoreErrorCode::NotFound || found(plan, {findings.error().message});
  std::vector<std::string> wrong;
  for (const StoreError& finding : *findings) wrong.push_back(finding.message);
  return found(plan, wrong);
}

void Torture::summarise(std::uint64_t seed, bool sound) const {
  fmt::print(
      "seed {}: {} lives, {} killed, {} acknowledgements, {} attempts, {} of them again after a death, {} "
      "looks at "
      "contexts: {}\n",
      seed, lives_, kills_, acknowledgements_ + ledger_.acknowledgements(), attempts_ + ledger_.attempts(),
      repeats_ + ledger_.repeats(), contexts_ + ledger_.contexts(),
      sound ? "nothing was lost" : "something was found");
}

}  // namespace

int torture(const TortureOptions& options) {
  std::error_code error;
  if (std::filesystem::exists(options.store, error) && !std::filesystem::is_empty(options.store, error)) {
    return fail(
        {kBadInput, fmt::format("--store {}: is not empty; torture makes a store of its own, and removes it "
                                "now and then",
                                options.store)});
  }
  const std::uint64_t seed = options.seed != 0 ? options.seed : std::random_device{}();
  fmt::print(stderr, "leat: seed {}\n", seed);
  const auto end = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                            std::chrono::duration<double, std::ratio<60>>(options.minutes));
  Torture observer(options, seed);
  bool sound = true;
  do {
    sound = observer.live_once();
  } while (sound && SteadyClock::now() < end);
  sound = sound && observer.drain();
  observer.summarise(seed, sound);
  return sound ? kGood : kFailed;
}

}  // namespace leat::tools
