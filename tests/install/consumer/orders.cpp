// The optional header for leat in a caller's database, found as it was installed.
#include <leat/rocksdb.h>

#include <vector>

int main() {
  rocksdb::DBOptions options;
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}}};
  leat::RocksdbStore().configure(options, families);
  return families.size() > 1 ? 0 : 1;
}
