#include "serve/accounts/postgres_address.h"

#include <libpq-fe.h>

#include <memory>
#include <string_view>

#include "base/error.h"

namespace fathom {
namespace {

[[noreturn]] void Refuse() {
  throw Error("--ledger", "the address of the database cannot be read",
              "it is postgresql://USER@HOST:PORT/DATABASE, where what is special is written as "
              "%XX; a password can be in PGPASSWORD or ~/.pgpass");
}

// Whether there is an '@' behind the one that ends user and password (at the first, unless a '/'
// comes before): then it belonged to a password, whose rest would be taken for a host's name.
bool HasStrayAt(std::string_view address) {
  address.remove_prefix(address.find("://") + 3);
  const size_t end = address.find_first_of("@/");
  if (end != std::string_view::npos && address[end] == '@') address.remove_prefix(end + 1);
  return address.substr(0, address.find('?')).find('@') != std::string_view::npos;
}

}  // namespace

bool IsPostgresAddress(const std::string& text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

std::string ShownAddress(const std::string& address) {
  // What libpq says of an address that it cannot read quotes it, with the password.
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(address.c_str(), nullptr), PQconninfoFree);
  if (options == nullptr || HasStrayAt(address)) Refuse();
  std::string user, host, port, database;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view name = option->keyword;
    if (name == "user") user = option->val;
    if (name == "host") host = option->val;
    if (name == "port") port = option->val;
    if (name == "dbname") database = option->val;
  }
  if (port.find_first_not_of("0123456789,") != std::string::npos) Refuse();
  if (!user.empty()) user += "@";
  if (!port.empty()) port.insert(0, ":");
  return "postgresql://" + user + host + port + "/" + database;
}

}  // namespace fathom
