#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace fathom {

// A connection to a SQLite file. What SQLite says is an Error with the file's name. Not
// thread-safe.
class SqliteDatabase {
 public:
  // Makes the file where there is none, readable by its owner alone.
  explicit SqliteDatabase(const std::filesystem::path& path);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Statements without values and results.
  void Execute(const char* sql);
  int64_t LastInsertId() const;
  [[noreturn]] void Fail() const;
  sqlite3* handle() const { return database_; }

 private:
  std::string name_;
  sqlite3* database_ = nullptr;
};

// One prepared statement. Bind values from the left, Step through the rows, Reset to use it again.
class SqliteStatement {
 public:
  SqliteStatement(SqliteDatabase& database, std::string_view sql);
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  SqliteStatement& Bind(int64_t value);
  SqliteStatement& Bind(std::string_view text);  // has to live until Reset
  SqliteStatement& BindBlob(const void* bytes, size_t size);
  SqliteStatement& BindNull();
  // Whether there is another row.
  bool Step();
  // For statements without rows: Step, then Reset.
  void Run();
  void Reset();

  bool IsNull(int column) const;
  int64_t Int(int column) const;
  std::string Text(int column) const;
  std::vector<uint8_t> Blob(int column) const;

 private:
  void Check(int code);

  SqliteDatabase& database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

// Begins a transaction that writes; without Commit it is undone at the end.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(SqliteDatabase& database);
  ~SqliteTransaction();
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;

  void Commit();

 private:
  SqliteDatabase& database_;
  bool open_ = true;
};

}  // namespace fathom
