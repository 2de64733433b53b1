#include "serve/accounts/postgres.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/log.h"
#include "serve/accounts/postgres_address.h"

namespace fathom {
namespace {

constexpr const char* kConnectSeconds = "5";

// In one line, without the last full stop or new line.
std::string OneLine(std::string_view text) {
  std::string line;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  for (const char c : text) line += c == '\n' ? std::string("; ") : std::string(1, c);
  return line;
}

}  // namespace

PostgresValue ToPostgres(int64_t value) { return std::to_string(value); }

PostgresValue ToPostgres(const std::vector<int64_t>& values) {
  std::string text = "{";
  for (const int64_t value : values) {
    if (text.size() > 1) text += ',';
    text += std::to_string(value);
  }
  return text + "}";
}

PostgresValue ToPostgres(const std::vector<std::string>& values) {
  std::string text = "{";
  for (const std::string& value : values) {
    if (text.size() > 1) text += ',';
    text += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

PostgresRows::PostgresRows(pg_result* result) : result_(result) {}

void PostgresRows::Clear::operator()(pg_result* result) const { PQclear(result); }

int PostgresRows::size() const { return PQntuples(result_.get()); }

bool PostgresRows::IsNull(int row, int column) const {
  return PQgetisnull(result_.get(), row, column) != 0;
}

int64_t PostgresRows::Int(int row, int column) const {
  const char* text = PQgetvalue(result_.get(), row, column);
  int64_t value = 0;
  std::from_chars(text, text + PQgetlength(result_.get(), row, column), value);
  return value;
}

std::string PostgresRows::Text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

PostgresConnection::PostgresConnection(const std::string& address,
                                       std::chrono::milliseconds patience)
    : name_(ShownAddress(address)), patience_(patience) {
  // What stands before the address is for what it does not say: a peer whose machine is gone is
  // noticed in some 11 seconds.
  const char* names[] = {"connect_timeout",  "keepalives_idle",  "keepalives_interval",
                         "keepalives_count", "tcp_user_timeout", "fallback_application_name",
                         "client_encoding",  "dbname",           nullptr};
  const char* values[] = {kConnectSeconds, "5",    "2", "3", "10000", "fathom", "UTF8",
                          address.c_str(), nullptr};
  connection_ = PQconnectdbParams(names, values, 1);
  if (connection_ == nullptr) throw PostgresError(name_, "there is no memory for it", "");
  if (PQstatus(connection_) != CONNECTION_OK) {
    const std::string message = OneLine(PQerrorMessage(connection_));
    PQfinish(connection_);
    throw PostgresError(name_, message, "");
  }
  PQsetnonblocking(connection_, 1);
  PQsetNoticeProcessor(
      connection_,
      [](void*, const char* notice) { spdlog::debug("PostgreSQL: {}", OneLine(notice)); }, nullptr);
}

PostgresConnection::~PostgresConnection() { PQfinish(connection_); }

PostgresRows PostgresConnection::Execute(const char* statements) {
  if (PQsendQuery(connection_, statements) == 0) Lose();
  return Finish();
}

PostgresRows PostgresConnection::Run(const std::string& statement,
                                     const std::vector<PostgresValue>& values) {
  Send(statement, values);
  return Finish();
}

void PostgresConnection::ForEachRow(const std::string& statement,
                                    const std::vector<PostgresValue>& values,
                                    const std::function<void(const PostgresRows&)>& row) {
  Send(statement, values);
  PQsetSingleRowMode(connection_);
  try {
    while (pg_result* result = NextResult(Deadline())) {
      const PostgresRows rows(result);
      Check(result);
      if (rows.size() > 0) row(rows);
    }
  } catch (...) {
    lost_ = true;  // the rest of the rows would be taken for the next answer
    throw;
  }
}

const std::string& PostgresConnection::Prepare(const std::string& statement) {
  const auto known = prepared_.find(statement);
  if (known != prepared_.end()) return known->second;
  const std::string name = "s" + std::to_string(prepared_.size());
  if (PQsendPrepare(connection_, name.c_str(), statement.c_str(), 0, nullptr) == 0) Lose();
  Finish();
  return prepared_.emplace(statement, name).first->second;
}

void PostgresConnection::Send(const std::string& statement,
                              const std::vector<PostgresValue>& values) {
  const std::string& name = Prepare(statement);
  std::vector<const char*> texts;
  for (const PostgresValue& value : values) texts.push_back(value ? value->c_str() : nullptr);
  if (PQsendQueryPrepared(connection_, name.c_str(), static_cast<int>(texts.size()), texts.data(),
                          nullptr, nullptr, 0) == 0) {
    Lose();
  }
}

// The last result; the first error.
PostgresRows PostgresConnection::Finish() {
  const Clock::time_point deadline = Deadline();
  std::optional<PostgresRows> last;
  std::optional<PostgresError> error;
  while (pg_result* result = NextResult(deadline)) {
    last.emplace(result);
    try {
      Check(result);
    } catch (const PostgresError& caught) {
      if (!error) error = caught;
    }
  }
  if (PQstatus(connection_) != CONNECTION_OK) lost_ = true;
  if (error) throw PostgresError(*error);
  if (!last) Lose();
  return std::move(*last);
}

pg_result* PostgresConnection::NextResult(Clock::time_point deadline) {
  for (int left; (left = PQflush(connection_)) != 0;) {
    if (left < 0) Lose();
    Await(true, deadline);
    if (PQconsumeInput(connection_) == 0) Lose();
  }
  while (PQisBusy(connection_) != 0) {
    Await(false, deadline);
    if (PQconsumeInput(connection_) == 0) Lose();
  }
  return PQgetResult(connection_);
}

PostgresConnection::Clock::time_point PostgresConnection::Deadline() const {
  return patience_.count() == 0 ? Clock::time_point::max() : Clock::now() + patience_;
}

void PostgresConnection::Await(bool writing, Clock::time_point deadline) {
  pollfd waiting = {.fd = PQsocket(connection_),
                    .events = static_cast<int16_t>(writing ? POLLIN | POLLOUT : POLLIN)};
  for (;;) {
    int milliseconds = -1;
    if (deadline != Clock::time_point::max()) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      milliseconds = static_cast<int>(std::max<int64_t>(0, left.count() + 1));
    }
    const int ready = poll(&waiting, 1, milliseconds);
    if (ready > 0) return;
    if (ready < 0 && errno == EINTR) continue;
    lost_ = late_ = true;
    throw PostgresError(name_, fmt::format("has not answered for {} ms", patience_.count()), "");
  }
}

void PostgresConnection::Lose() {
  lost_ = true;
  throw PostgresError(name_, OneLine(PQerrorMessage(connection_)), "");
}

void PostgresConnection::Check(const pg_result* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE) {
    return;
  }
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  throw PostgresError(name_, OneLine(PQresultErrorMessage(result)), state == nullptr ? "" : state);
}

PostgresTransaction::PostgresTransaction(PostgresConnection& connection) : connection_(connection) {
  // Whatever the database's default is: a statement sees what was committed before it began.
  connection_.Execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
}

PostgresTransaction::~PostgresTransaction() {
  if (!open_ || connection_.is_lost()) return;
  try {
    connection_.Execute("ROLLBACK");
  } catch (const Error& error) {
    spdlog::debug("{}", error.what());
  }
}

void PostgresTransaction::Commit() {
  open_ = false;
  try {
    connection_.Execute("COMMIT");
  } catch (const PostgresError& error) {
    if (connection_.is_lost()) throw Error("", error.what());
    throw;
  }
}

}  // namespace fathom
