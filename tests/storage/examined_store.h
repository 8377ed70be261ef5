// A store in a directory of its own that tests write, damage and examine.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "commit.h"
#include "journal_family.h"
#include "journal_writer.h"
#include "leat/state_store.h"
#include "leat/store_verifier.h"
#include "leat/transition_group.h"
#include "store_directory.h"
#include "temporary_directory.h"

namespace leat::test {

/// Changes the closed store behind leat's back, and lets the superblock agree with the files.
inline void tamper(const std::string& path, const std::function<rocksdb::Status(JournalDb&)>& change) {
  auto place = StoreDirectory::open(path);
  ASSERT_TRUE(place);
  auto journal = JournalDb::open(path, JournalDb::Access::Write, journal_db_options(rocksdb::Env::Default()));
  ASSERT_TRUE(journal);
  ASSERT_TRUE(change(*journal).ok());
  ASSERT_TRUE(journal->db().Flush({}, {journal->families().begin(), journal->families().end()}).ok());
  ASSERT_TRUE(journal->close().ok());
  Superblock block = place->superblock();
  block.manifest = manifest_digest(path, *rocksdb::Env::Default());
  ASSERT_TRUE(place->replace(block));
}

class ExaminedStore : public testing::Test {
 protected:
  void open() {
    auto store = open_rocksdb_store(path_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    writer_ = std::make_unique<JournalWriter>(*store_);
  }

  void define() {
    constexpr std::string_view kTasks[] = {"only"};
    ASSERT_TRUE(writer_->append(
        TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}),
        TransitionGroup(1, KeyDefined{.key_no = 1, .key = "default"})));
  }

  /// One commit: a pipeline from its creation to its end.
  void add_pipeline() {
    constexpr std::uint32_t kReady[] = {0};
    const std::uint64_t number = ++pipelines_;
    ASSERT_TRUE(writer_->append(
        TransitionGroup(
            2, PipelineCreated{.pipeline_no = number, .workflow_no = 1, .task_count = 1, .ready = kReady}),
        TransitionGroup(3, TaskStarted{.pipeline_no = number, .key_no = 1}),
        TransitionGroup(4, TaskEnded{.pipeline_no = number, .pipeline = PipelineState::Completed})));
  }

  /// Each opening leaves a table of its own.
  void close_with(int openings, int pipelines_each) {
    for (int opening = 0; opening < openings; ++opening) {
      open();
      if (opening == 0) define();
      for (int i = 0; i < pipelines_each; ++i) add_pipeline();
      ASSERT_TRUE(store_->close());
      store_.reset();
    }
  }

  /// Puts a commit that is valid for itself in the place of another one of a closed store, and lets the
  /// superblock agree with the files.
  void exchange(std::uint64_t first, const TransitionGroup& group) {
    auto place = StoreDirectory::open(path_);
    ASSERT_TRUE(place);
    Superblock block = place->superblock();
    auto journal =
        JournalDb::open(path_, JournalDb::Access::Write, journal_db_options(rocksdb::Env::Default()));
    ASSERT_TRUE(journal);
    std::string before;
    ASSERT_TRUE(journal->db().Get({}, journal->family(), journal_key(first), &before).ok());
    const auto header = CommitReader::open(first, std::as_bytes(std::span(before)))->header();
    CommitWriter writer(*header.link);
    writer.begin(first, header.previous_end(), header.epoch, header.synced);
    writer.add(group);
    const auto bytes = writer.finish();
    ASSERT_EQ(writer.end_sequence(), header.end_sequence());
    ASSERT_NE(hash_of_commit(bytes), header.hash);
    const std::string after(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    ASSERT_TRUE(journal->db().Put({}, journal->family(), journal_key(first), after).ok());
    ASSERT_TRUE(journal->db().Flush({}, journal->family()).ok());
    ASSERT_TRUE(journal->close().ok());
    block.manifest = manifest_digest(path_, *rocksdb::Env::Default());
    ASSERT_TRUE(place->replace(block));
  }

  std::vector<StoreError> findings() {
    auto found = verify_rocksdb_store(path_);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::vector<StoreError>();
  }

  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(path_ + "/" + name, std::ios::binary | std::ios::trunc) << bytes;
  }
  std::map<std::string, std::string> snapshot() {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      files[entry.path().filename()] = read(entry.path());
    return files;
  }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  const std::string path_ = directory_.store();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
  std::uint64_t pipelines_ = 0;
};

}  // namespace leat::test
