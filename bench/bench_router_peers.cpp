// BM_LinearScan_*, BM_Re2Set_*: what leat's route table is compared to, with the same rules and names.
// RE2::Set reports all matches, of which the smallest is kept.
#include <benchmark/benchmark.h>
#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "router_peers.h"

namespace leat::bench {
namespace {

class Re2Set {
 public:
  explicit Re2Set(const std::vector<std::string>& patterns) : set_(options(), RE2::UNANCHORED) {
    for (const std::string& pattern : patterns) {
      if (set_.Add(regex_of(pattern), nullptr) < 0) throw std::runtime_error("RE2::Set::Add");
    }
    if (!set_.Compile()) throw std::runtime_error("RE2::Set::Compile");
  }

  std::uint32_t match(std::string_view name) {
    found_.clear();
    if (!set_.Match({name.data(), name.size()}, &found_)) return kNoRule;
    return static_cast<std::uint32_t>(*std::min_element(found_.begin(), found_.end()));
  }

 private:
  static RE2::Options options() {
    RE2::Options options;
    options.set_max_mem(std::int64_t{1} << 31);  // else its automaton is thrown away again and again
    options.set_log_errors(false);
    return options;
  }

  RE2::Set set_;
  std::vector<int> found_;
};

[[maybe_unused]] const bool kRegistered = [] {
  register_peer<LinearScan>("LinearScan", 100'000);
  register_peer<Re2Set>("Re2Set", 10'000);  // beyond: minutes to build, gigabytes
  return true;
}();

}  // namespace
}  // namespace leat::bench
