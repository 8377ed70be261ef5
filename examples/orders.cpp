// A service that keeps its own rows in RocksDB, and asks for work in the same write: an order and the task
// that ships it are both there, or neither is.
#include <leat/leat.h>
#include <leat/rocksdb.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

int main() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}},
                                                           {"orders", {}}};
  const leat::RocksdbStore leat_in_it;
  leat_in_it.configure(options, families);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  options.create_missing_column_families = true;
  const rocksdb::Status status = rocksdb::DB::Open(options, "./orders.db", families, &handles, &opened);
  const std::unique_ptr<rocksdb::DB> db(opened);
  if (!status.ok()) return std::printf("%s\n", status.ToString().c_str()), 1;
  rocksdb::ColumnFamilyHandle* const orders = handles[1];

  bool shipped = false;
  {
    auto store = leat_in_it.open_in(*db, handles);
    if (!store) return std::printf("%s\n", store.error().message.c_str()), 1;
    const auto ship = leat::Workflow::builder("ship")
                          .task("pack", [](leat::TaskContext& task) { task.set("packed", true); })
                          .build();
    auto runner = leat::Runner::builder().state_store(std::move(*store)).build();
    if (!ship || !runner || !runner->register_workflow(*ship) || !runner->start()) return 1;

    leat::RocksdbWrites writes;
    writes.batch.Put(orders, "order 1", "three books");
    const auto pipeline = runner->submit(*ship, {.context = R"({"order":"order 1"})", .writes = &writes});
    if (!pipeline) return std::printf("%s\n", pipeline.error().message.c_str()), 1;
    const auto result = pipeline->wait();
    shipped = result && result->state == leat::PipelineState::Completed;
    if (!runner->stop(std::chrono::seconds(5))) return 1;
  }  // leat ends before its database

  std::string row;
  const bool kept = db->Get({}, orders, "order 1", &row).ok();
  std::printf("order 1: %s, %s\n", kept ? row.c_str() : "lost", shipped ? "shipped" : "not shipped");
  for (rocksdb::ColumnFamilyHandle* const handle : handles) db->DestroyColumnFamilyHandle(handle);
  return kept && shipped ? 0 : 1;
}
