// Runs the built `leat` as a user would: in a fresh directory, as a
// process of its own, with its words and files.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "leat/process.h"

namespace leat::tests {

/// How one command ended. A signal's number is negative in `status`.
struct CommandResult {
  int status = 0;
  std::string out;
  std::string err;
};

/// One row of a CSV, by the names in its header.
using CsvRow = std::map<std::string, std::string>;

/// Reads RFC 4180 text whose first line is the header.
std::vector<CsvRow> parse_csv(std::string_view text);

/// A test with a directory of its own, in which each command runs; it is removed at the end.
class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest();
  ~CommandLineTest() override;

  /// A command that has been started and may still run.
  class Running {
   public:
    int pid() const { return pid_; }
    /// Waits for its end.
    CommandResult wait();

   private:
    friend class CommandLineTest;
    int pid_ = 0;
    std::filesystem::path out_;
    std::filesystem::path err_;
    std::future<ProcessResult> ended_;
  };

  Running start(const std::vector<std::string>& words);
  CommandResult leat(const std::vector<std::string>& words) { return start(words).wait(); }

  /// @return the path, for a command's words
  std::string write_file(const std::string& name, std::string_view text) const;
  std::string read_file(const std::string& name) const;
  const std::filesystem::path& directory() const { return directory_; }
  /// Everything in the directory but the commands' own outputs.
  std::vector<std::string> files() const;

  /// The rows of `leat inspect WHAT --format csv`; none where there is no store yet.
  std::vector<CsvRow> inspect(const std::string& what, const std::string& store = "leat.db");
  /// Looks at the events again and again, up to a minute, until `enough` says so.
  template <class Enough>
  std::vector<CsvRow> wait_for_events(const Enough& enough);

 private:
  std::filesystem::path directory_;
  std::filesystem::path outputs_;  ///< elsewhere, so that files() shows what leat wrote
  int commands_ = 0;
  ProcessRunner processes_;
};

template <class Enough>
std::vector<CsvRow> CommandLineTest::wait_for_events(const Enough& enough) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  for (;;) {
    std::vector<CsvRow> events = inspect("events");
    if (enough(events)) return events;
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "the events that were waited for did not come; there are " << events.size();
      return events;
    }
  }
}

}  // namespace leat::tests
