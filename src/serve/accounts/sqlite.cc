#include "serve/accounts/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/log.h"

namespace fathom {
namespace {

// How long a statement waits for another process that writes.
constexpr int kBusyMilliseconds = 10'000;

// SQLite makes files with the mode that the umask leaves; names and hashes are nobody else's
// business. The files beside it (-wal, -shm) get the mode of this one.
void MakePrivately(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor >= 0) {
    close(descriptor);
  } else if (errno != EEXIST) {
    throw Error(path.string(), std::strerror(errno));
  }
}

}  // namespace

SqliteDatabase::SqliteDatabase(const std::filesystem::path& path) : name_(path.string()) {
  MakePrivately(path);
  const int code = sqlite3_open_v2(path.c_str(), &database_,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    const std::string message = sqlite3_errmsg(database_);
    sqlite3_close(database_);
    throw Error(name_, message);
  }
  sqlite3_busy_timeout(database_, kBusyMilliseconds);
}

SqliteDatabase::~SqliteDatabase() { sqlite3_close(database_); }

void SqliteDatabase::Execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Fail();
}

int64_t SqliteDatabase::LastInsertId() const { return sqlite3_last_insert_rowid(database_); }

void SqliteDatabase::Fail() const { throw Error(name_, sqlite3_errmsg(database_)); }

SqliteStatement::SqliteStatement(SqliteDatabase& database, std::string_view sql)
    : database_(database) {
  Check(sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()), &statement_,
                           nullptr));
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

void SqliteStatement::Check(int code) {
  if (code != SQLITE_OK) database_.Fail();
}

SqliteStatement& SqliteStatement::Bind(int64_t value) {
  Check(sqlite3_bind_int64(statement_, ++bound_, value));
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::string_view text) {
  Check(sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_STATIC,
                            SQLITE_UTF8));
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(const void* bytes, size_t size) {
  Check(sqlite3_bind_blob64(statement_, ++bound_, bytes, size, SQLITE_STATIC));
  return *this;
}

SqliteStatement& SqliteStatement::BindNull() {
  Check(sqlite3_bind_null(statement_, ++bound_));
  return *this;
}

bool SqliteStatement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  try {
    database_.Fail();
  } catch (const Error&) {
    Reset();  // or nothing could be committed any more
    throw;
  }
}

void SqliteStatement::Run() {
  Step();
  Reset();
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bound_ = 0;
}

bool SqliteStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string SqliteStatement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return {text == nullptr ? "" : text,
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

std::vector<uint8_t> SqliteStatement::Blob(int column) const {
  const auto* bytes = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
  return {bytes, bytes + sqlite3_column_bytes(statement_, column)};
}

SqliteTransaction::SqliteTransaction(SqliteDatabase& database) : database_(database) {
  database_.Execute("BEGIN IMMEDIATE");
}

SqliteTransaction::~SqliteTransaction() {
  if (!open_) return;
  try {
    database_.Execute("ROLLBACK");
  } catch (const Error& error) {
    // A full disk has undone it already.
    spdlog::debug("{}", error.what());
  }
}

void SqliteTransaction::Commit() {
  database_.Execute("COMMIT");
  open_ = false;
}

}  // namespace fathom
