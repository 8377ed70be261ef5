#include "table_check.h"

#include <fmt/format.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "journal_family.h"

namespace leat {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

/// Shows the manifest alone: no table can be opened, no log is there.
class ManifestOnly final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "LeatManifestOnly"; }

  rocksdb::IOStatus NewRandomAccessFile(const std::string&, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>*,
                                        rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::IOError("not before it is checked");
  }
  rocksdb::IOStatus GetChildren(const std::string& directory, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names, rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::GetChildren(directory, options, names, debug);
    std::erase_if(*names, [](const std::string& name) { return name.ends_with(".log"); });
    return status;
  }
};

/// Its file system alone is another one.
class ManifestEnv final : public rocksdb::EnvWrapper {
 public:
  explicit ManifestEnv(rocksdb::Env& below) : EnvWrapper(&below) {
    file_system_ = std::make_shared<ManifestOnly>(below.GetFileSystem());
    system_clock_ = below.GetSystemClock();
  }
};

struct Table {
  std::string name;
  std::string checksum;
  std::string method;
};

std::expected<std::vector<Table>, StoreError> list_tables(const std::string& directory, rocksdb::Env& env) {
  ManifestEnv manifest_only(env);
  rocksdb::DBOptions options = journal_db_options(&manifest_only);
  options.paranoid_checks = false;  // else a table that cannot be opened fails the opening
  const auto journal = JournalDb::open(directory, JournalDb::Access::Read, options);
  if (!journal) return std::unexpected(to_store_error(journal.error(), fmt::format("opening {}", directory)));
  const std::unique_ptr<rocksdb::FileChecksumList> list(rocksdb::NewFileChecksumList());
  std::vector<std::uint64_t> numbers;
  std::vector<std::string> checksums;
  std::vector<std::string> methods;
  rocksdb::Status status = journal->db().GetLiveFilesChecksumInfo(list.get());
  if (status.ok()) status = list->GetAllFileChecksums(&numbers, &checksums, &methods);
  if (!status.ok()) return std::unexpected(to_store_error(status, fmt::format("listing {}", directory)));
  std::vector<Table> tables;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    tables.push_back({fmt::format("{:06}.sst", numbers[i]), checksums[i], methods[i]});
  }
  return tables;
}

std::expected<std::string, rocksdb::Status> checksum_of(const std::string& path, const Table& table,
                                                        rocksdb::Env& env) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  if (!status.ok()) return std::unexpected(std::move(status));
  rocksdb::FileChecksumGenContext context;
  context.file_name = path;
  context.requested_checksum_func_name = table.method;
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

std::expected<void, StoreError> check_tables(const std::string& directory, rocksdb::Env& env) {
  const auto tables = list_tables(directory, env);
  if (!tables) return std::unexpected(tables.error());
  for (const Table& table : *tables) {
    if (table.method != rocksdb::kStandardDbFileChecksumFuncName) continue;
    const std::string path = directory + "/" + table.name;
    const auto checksum = checksum_of(path, table, env);
    if (!checksum) return std::unexpected(to_store_error(checksum.error(), fmt::format("reading {}", path)));
    if (*checksum != table.checksum) {
      return std::unexpected(
          StoreError{StoreErrorCode::Damaged, fmt::format("{}: {} was altered", directory, table.name)});
    }
  }
  return {};
}

}  // namespace leat
