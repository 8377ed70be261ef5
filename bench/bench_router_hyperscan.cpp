// BM_Hyperscan_*: the same rules and names for Hyperscan, which reports all matches, of which the smallest is
// kept.
#include <benchmark/benchmark.h>
#include <hs/hs.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "router_peers.h"

namespace leat::bench {
namespace {

class Hyperscan {
 public:
  explicit Hyperscan(const std::vector<std::string>& patterns) {
    std::vector<std::string> regexes;
    std::vector<const char*> texts;
    std::vector<unsigned> ids;
    for (const std::string& pattern : patterns) regexes.push_back(regex_of(pattern));
    for (const std::string& regex : regexes) {
      ids.push_back(static_cast<unsigned>(texts.size()));
      texts.push_back(regex.c_str());
    }
    const std::vector<unsigned> flags(texts.size(), HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL);
    hs_compile_error_t* error = nullptr;
    if (hs_compile_multi(texts.data(), flags.data(), ids.data(), static_cast<unsigned>(texts.size()),
                         HS_MODE_BLOCK, nullptr, &database_, &error) != HS_SUCCESS ||
        hs_alloc_scratch(database_, &scratch_) != HS_SUCCESS) {
      throw std::runtime_error("hs_compile_multi");
    }
  }
  ~Hyperscan() {
    hs_free_scratch(scratch_);
    hs_free_database(database_);
  }
  Hyperscan(const Hyperscan&) = delete;
  Hyperscan& operator=(const Hyperscan&) = delete;

  std::uint32_t match(std::string_view name) {
    std::uint32_t best = kNoRule;
    const auto keep = [](unsigned id, unsigned long long, unsigned long long, unsigned, void* context) {
      auto& smallest = *static_cast<std::uint32_t*>(context);
      smallest = std::min(smallest, std::uint32_t{id});
      return 0;
    };
    hs_scan(database_, name.data(), static_cast<unsigned>(name.size()), 0, scratch_, keep, &best);
    return best;
  }

 private:
  hs_database_t* database_ = nullptr;
  hs_scratch_t* scratch_ = nullptr;
};

[[maybe_unused]] const bool kRegistered = [] {
  register_peer<Hyperscan>("Hyperscan", 10'000);  // beyond: minutes to build, gigabytes
  return true;
}();

}  // namespace
}  // namespace leat::bench
