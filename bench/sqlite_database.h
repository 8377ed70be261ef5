// A SQLite connection as durable as leat's level disk, with just enough wrapping to keep benchmark code
// readable.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string_view>

namespace leat::bench {

/// A prepared statement with integer parameters and integer columns.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* database, std::string_view sql) : database_(database) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) fail();
    statement_.reset(statement);
  }

  /// Binds the parameters and runs the statement to its end.
  ///
  /// @param on_row  called for each row; reads it with column()
  template <class OnRow, class... Values>
  void for_each(const OnRow& on_row, Values... values) {
    int place = 0;
    (sqlite3_bind_int64(statement_.get(), ++place, static_cast<sqlite3_int64>(values)), ...);
    int code = SQLITE_OK;
    while ((code = sqlite3_step(statement_.get())) == SQLITE_ROW) on_row();
    if (code != SQLITE_DONE) fail();
    sqlite3_reset(statement_.get());
  }

  template <class... Values>
  void run(Values... values) {
    for_each([] {}, values...);
  }

  std::int64_t column(int number) const noexcept { return sqlite3_column_int64(statement_.get(), number); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };

  [[noreturn]] void fail() const {
    std::cerr << "sqlite: " << sqlite3_errmsg(database_) << '\n';
    std::abort();
  }

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Thread-safety: one thread at a time.
class SqliteDatabase {
 public:
  /// @param synchronous  "FULL": the log is synced at every commit; "NORMAL": only at checkpoints
  SqliteDatabase(const std::filesystem::path& file, std::string_view synchronous) {
    sqlite3* database = nullptr;
    const int code = sqlite3_open_v2(
        file.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(database);
    if (code != SQLITE_OK) {
      std::cerr << "sqlite: cannot open " << file << '\n';
      std::abort();
    }
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA synchronous=" + std::string(synchronous));
    execute("PRAGMA cache_size=-65536");
  }

  /// Runs one statement, whatever it returns.
  void execute(std::string_view sql) { prepare(sql).run(); }
  SqliteStatement prepare(std::string_view sql) { return {database_.get(), sql}; }

 private:
  struct Close {
    void operator()(sqlite3* database) const noexcept { sqlite3_close(database); }
  };
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace leat::bench
