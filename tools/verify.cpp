#include "verify.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "exit_status.h"
#include "leat/store_verifier.h"

namespace leat::tools {
namespace {

void print_json(const std::vector<StoreError>& findings, const RepairReport& repairs) {
  using Json = nlohmann::ordered_json;
  Json found = Json::array();
  for (const StoreError& finding : findings) {
    found.push_back({{"code", to_string(finding.code)}, {"message", finding.message}});
  }
  const Json object = {{"whole", findings.empty()},
                       {"findings", std::move(found)},
                       {"repairs", repairs.done},
                       {"lost", repairs.lost}};
  // What a damaged file holds may be any bytes.
  fmt::print("{}\n", object.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_lines(const std::string& store, const std::vector<StoreError>& findings,
                 const RepairReport& repairs) {
  for (const std::string& repair : repairs.done) fmt::print("repaired: {}\n", repair);
  for (const std::string& lost : repairs.lost) fmt::print("not repaired: {}\n", lost);
  for (const StoreError& finding : findings) fmt::print("{}: {}\n", to_string(finding.code), finding.message);
  if (findings.empty()) fmt::print("{}: whole\n", store);
}

}  // namespace

int verify(const VerifyOptions& options) {
  RepairReport repairs;
  if (options.repair) {
    auto repaired = repair_rocksdb_store(options.store);
    if (!repaired) return fail(opening_failure(repaired.error()));
    repairs = std::move(*repaired);
  }
  const auto findings = verify_rocksdb_store(options.store);
  if (!findings) return fail(opening_failure(findings.error()));
  options.json ? print_json(*findings, repairs) : print_lines(options.store, *findings, repairs);
  return findings->empty() ? kGood : kFailed;
}

}  // namespace leat::tools
