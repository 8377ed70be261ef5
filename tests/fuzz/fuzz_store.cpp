// libFuzzer: a store's directory from elsewhere. The bytes say what is changed in a store that was closed:
// three for a byte of a file, or its end. Whatever they make of it, each reader says so or reads it; nothing
// crashes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>

#include <unistd.h>

#include "leat/history.h"
#include "leat/state_store.h"
#include "leat/store_reader.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"

namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;  // by name: the same order in every run

Files read_base() {
  Files files;
  for (const auto& entry : fs::directory_iterator(LEAT_FUZZ_STORE)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().filename()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  if (files.size() < 5) std::abort();
  return files;
}

/// On a memory file system where there is one; removed at the end.
struct Scratch {
  const fs::path path = fs::path(fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path().c_str()) /
                        ("leat-fuzz-" + std::to_string(::getpid()));
  ~Scratch() { fs::remove_all(path); }
};

void change(Files& files, std::span<const std::uint8_t> bytes) {
  for (; bytes.size() >= 4; bytes = bytes.subspan(4)) {
    std::string& file = std::next(files.begin(), bytes[0] % static_cast<int>(files.size()))->second;
    const std::size_t at = bytes[1] | bytes[2] << 8;
    if ((bytes[0] & 0x80) != 0) {
      file.resize(std::min<std::size_t>(at, 4096), static_cast<char>(bytes[3]));
    } else if (!file.empty()) {
      file[at % file.size()] = static_cast<char>(bytes[3]);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Files base = read_base();
  static const Scratch scratch;
  Files files = base;
  change(files, {data, size});
  fs::remove_all(scratch.path);
  fs::create_directory(scratch.path);
  for (const auto& [name, bytes] : files) std::ofstream(scratch.path / name, std::ios::binary) << bytes;

  const std::string path = scratch.path;
  const auto findings = leat::verify_rocksdb_store(path);
  const auto image = leat::read_rocksdb_store(path, [](const leat::TransitionEvent&) {});
  (void)leat::read_rocksdb_history(path, {}, [](const leat::PipelineSummary&, std::string_view) {});
  if (findings && findings->empty() && !image) std::abort();  // whole, and yet it cannot be read
  if (auto store = leat::open_rocksdb_store(path)) {
    (void)leat::recover_unfinished(**store);
    (void)(*store)->close();
  }
  return 0;
}
