#include "table_check.h"

#include <fmt/format.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "journal_family.h"

namespace leat {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

class FilesWithout final : public rocksdb::FileSystemWrapper {
 public:
  FilesWithout(const std::shared_ptr<rocksdb::FileSystem>& below,
               std::function<bool(const std::string& name)> unreadable, bool logs)
      : FileSystemWrapper(below), unreadable_(std::move(unreadable)), logs_(logs) {}
  const char* Name() const override { return "LeatFilesWithout"; }

  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override {
    if (unreadable_(path.substr(path.rfind('/') + 1)))
      return rocksdb::IOStatus::IOError("not to be read", path);
    return FileSystemWrapper::NewRandomAccessFile(path, options, result, debug);
  }
  rocksdb::IOStatus GetChildren(const std::string& directory, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names, rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::GetChildren(directory, options, names, debug);
    if (!logs_) std::erase_if(*names, [](const std::string& name) { return name.ends_with(".log"); });
    return status;
  }

 private:
  const std::function<bool(const std::string& name)> unreadable_;
  const bool logs_;
};

std::expected<std::vector<rocksdb::LiveFileMetaData>, StoreError> list_tables(const std::string& directory,
                                                                              rocksdb::Env& env) {
  EnvWithout manifest_only(env, [](const std::string&) { return true; }, false);
  rocksdb::DBOptions options = journal_db_options(&manifest_only);
  options.paranoid_checks = false;  // else a table that cannot be opened fails the opening
  const auto journal = JournalDb::open(directory, JournalDb::Access::Read, options);
  if (!journal) return std::unexpected(to_store_error(journal.error(), fmt::format("opening {}", directory)));
  std::vector<rocksdb::LiveFileMetaData> tables;
  journal->db().GetLiveFilesMetaData(&tables);
  return tables;
}

std::expected<std::string, rocksdb::Status> checksum_of(const std::string& path, rocksdb::Env& env) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  if (!status.ok()) return std::unexpected(std::move(status));
  rocksdb::FileChecksumGenContext context;
  context.file_name = path;
  const auto generator = rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator(context);
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    rocksdb::Slice read;
    status = file->Read(buffer.size(), &read, buffer.data());
    if (!status.ok()) return std::unexpected(std::move(status));
    if (read.empty()) break;
    generator->Update(read.data(), read.size());
  }
  generator->Finalize();
  return generator->GetChecksum();
}

}  // namespace

EnvWithout::EnvWithout(rocksdb::Env& below, std::function<bool(const std::string& name)> unreadable,
                       bool logs)
    : EnvWrapper(&below) {
  file_system_ = std::make_shared<FilesWithout>(below.GetFileSystem(), std::move(unreadable), logs);
  system_clock_ = below.GetSystemClock();
}

std::expected<std::vector<AlteredTable>, StoreError> find_altered_tables(const std::string& directory,
                                                                         rocksdb::Env& env) {
  const auto tables = list_tables(directory, env);
  if (!tables) return std::unexpected(tables.error());
  std::vector<AlteredTable> altered;
  for (const rocksdb::LiveFileMetaData& table : *tables) {
    if (table.file_checksum_func_name != rocksdb::kStandardDbFileChecksumFuncName) continue;
    const std::string name = table.name.substr(1);  // behind a slash
    const std::string path = directory + "/" + name;
    const auto checksum = checksum_of(path, env);
    if (!checksum) {
      altered.push_back({name, table.column_family_name,
                         to_store_error(checksum.error(), fmt::format("reading {}", path))});
    } else if (*checksum != table.file_checksum) {
      altered.push_back({name,
                         table.column_family_name,
                         {StoreErrorCode::Damaged, fmt::format("{}: {} was altered", directory, name)}});
    }
  }
  return altered;
}

}  // namespace leat
