// The table of reference cases that lies beside the repository.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "leat/router.h"

namespace leat {
namespace {

std::vector<std::string> split_at(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find(separator, begin)) != std::string::npos;
       begin = end + separator.size()) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string unquoted(const std::string& text) {
  return text == "<EMPTY>" ? "" : text;
}

std::string routed(const std::string& rules, const std::string& default_key, const std::string& name) {
  RoutingConfig config(unquoted(default_key));
  if (rules != "-") {
    for (const std::string& rule : split_at(rules, " ; ")) {
      const std::vector<std::string> parts = split_at(rule, "=>");
      config.with_rule(parts[0], unquoted(parts[1]));
    }
  }
  NamespaceTable names;
  const auto router = Router::make(config, names);
  if (!router) return "<REFUSED>";
  const auto key = (*router)->resolve(unquoted(name), 0);
  return key ? std::string((*router)->key(*key)) : "<REFUSED>";
}

TEST(Router, AgreesWithEveryReferenceCase) {
  const char* shared = std::getenv("LEAT_SHARED_DIR");
  std::ifstream file(std::string(shared == nullptr ? "" : shared) + "/data/router_cases.tsv");
  if (!file) GTEST_SKIP() << "no data/router_cases.tsv under LEAT_SHARED_DIR";
  int cases = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> fields = split_at(line, "\t");
    ASSERT_GE(fields.size(), 5u) << line;
    EXPECT_EQ(routed(fields[1], fields[2], fields[3]), fields[4]) << line;
    ++cases;
  }
  EXPECT_GE(cases, 113);
}

}  // namespace
}  // namespace leat
