#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct pg_conn;
struct pg_result;

namespace fathom {

// What PostgreSQL refuses, or that it cannot be reached.
class PostgresError : public Error {
 public:
  // state: SQLSTATE; empty where there was no answer.
  PostgresError(std::string_view where, std::string_view what, std::string state)
      : Error(where, what), state_(std::move(state)) {}

  const std::string& state() const { return state_; }
  // Whether the same transaction, begun again, may well succeed: it was in another's way.
  bool is_conflict() const { return state_ == "40P01" || state_ == "40001"; }

 private:
  std::string state_;
};

// A value of a statement as text; nothing: null.
using PostgresValue = std::optional<std::string>;
PostgresValue ToPostgres(int64_t value);
// Arrays, for parameters like $1::bigint[] and $1::text[].
PostgresValue ToPostgres(const std::vector<int64_t>& values);
PostgresValue ToPostgres(const std::vector<std::string>& values);

// The rows that a statement has returned.
class PostgresRows {
 public:
  explicit PostgresRows(pg_result* result);

  int size() const;
  bool IsNull(int row, int column) const;
  int64_t Int(int row, int column) const;
  std::string Text(int row, int column) const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

// A connection to a PostgreSQL database. What the server says is a PostgresError with the
// database's address (never its password). Not thread-safe.
class PostgresConnection {
 public:
  // address: a URI, as libpq reads it; what it does not say comes from libpq's environment
  // variables, and a password from ~/.pgpass, too. patience: how long the server may take for each
  // answer; 0: any time. Connecting takes 5 s at most for each of its hosts, unless the address
  // has a connect_timeout.
  PostgresConnection(const std::string& address, std::chrono::milliseconds patience);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  // Statements without values; the rows of the last one.
  PostgresRows Execute(const char* statements);
  // One statement with values $1, $2, ..., prepared when it is first run.
  PostgresRows Run(const std::string& statement, const std::vector<PostgresValue>& values = {});
  // The same for results that need not fit into memory: row by row, each as row 0.
  void ForEachRow(const std::string& statement, const std::vector<PostgresValue>& values,
                  const std::function<void(const PostgresRows&)>& row);
  // It cannot be used any more: it was lost, or nobody knows what comes next on it.
  bool is_lost() const { return lost_; }
  // It was lost because the server took too long.
  bool is_late() const { return late_; }

 private:
  using Clock = std::chrono::steady_clock;

  const std::string& Prepare(const std::string& statement);
  void Send(const std::string& statement, const std::vector<PostgresValue>& values);
  PostgresRows Finish();
  pg_result* NextResult(Clock::time_point deadline);
  Clock::time_point Deadline() const;
  void Await(bool writing, Clock::time_point deadline);
  // The end, when something was not sent or not received.
  [[noreturn]] void Lose();
  void Check(const pg_result* result);

  const std::string name_;
  const std::chrono::milliseconds patience_;
  pg_conn* connection_;
  std::map<std::string, std::string, std::less<>> prepared_;  // names by statement
  bool lost_ = false, late_ = false;
};

// Begins a transaction; without Commit it is undone at the end.
class PostgresTransaction {
 public:
  explicit PostgresTransaction(PostgresConnection& connection);
  ~PostgresTransaction();
  PostgresTransaction(const PostgresTransaction&) = delete;
  PostgresTransaction& operator=(const PostgresTransaction&) = delete;

  // An Error that is no PostgresError: the connection was lost, and nobody knows whether it has
  // happened.
  void Commit();

 private:
  PostgresConnection& connection_;
  bool open_ = true;
};

}  // namespace fathom
