// Every behaviour of the original that leat keeps or changes is named by a test, as "row n" or as a case's
// first number, or stands here as not applicable.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace leat::behaviours {
namespace {

const std::map<int, std::string> kNotApplicable = {
    {5, "Skipped is a task's state, never a result: no task is claimed elsewhere"},
    {15, "a store belongs to one process, so that no other claims a task"},
    {19, "slots belong to lanes: one executor under two keys is two lanes"},
    {44, "a workflow is registered by its submission"},
    {151, "there are no claims to lose: an attempt of an earlier process is known dead by its epoch"},
    {152, "as 15"},
    {153, "there are no heartbeats: the store is locked, and its epoch rises with each opening"},
    {154, "as 151"},
    {155, "as 151"},
    {159, "as 153: nothing is searched for what is stale"},
    {160, "as 151"},
    {161, "as 151"},
};

/// The numbers that the sources below `directory` name.
std::set<int> rows_named(const std::filesystem::path& directory) {
  const std::regex mention(R"(\brows? (\d+(?:-\d+)?(?:, \d+(?:-\d+)?)*)|\b(?:Operator)?Case\{(\d+),)");
  const std::regex range(R"((\d+)(?:-(\d+))?)");
  std::set<int> rows;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.path().extension() != ".cpp") continue;
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    for (std::sregex_iterator found(text.begin(), text.end(), mention), end; found != end; ++found) {
      const std::string list = (*found)[1].matched ? (*found)[1] : (*found)[2];
      for (std::sregex_iterator part(list.begin(), list.end(), range); part != end; ++part) {
        const int first = std::stoi((*part)[1]);
        const int last = (*part)[2].matched ? std::stoi((*part)[2]) : first;
        for (int row = first; row <= last; ++row) rows.insert(row);
      }
    }
  }
  return rows;
}

TEST(BehavioursTable, EveryRowHasATestOrAReasonWhyNot) {
  const char* const shared = std::getenv("LEAT_SHARED_DIR");
  std::ifstream table(std::string(shared != nullptr ? shared : "") + "/data/reference_behaviours.tsv");
  if (!table) GTEST_SKIP() << "the table of behaviours is not there: LEAT_SHARED_DIR";
  const std::set<int> named = rows_named(LEAT_TESTS_DIR);
  int rows = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line.front() == '#') continue;
    ++rows;
    const int row = std::stoi(line);
    EXPECT_EQ(named.contains(row) + kNotApplicable.count(row), 1U) << line;
  }
  EXPECT_EQ(rows, 203);
}

}  // namespace
}  // namespace leat::behaviours
