#pragma once

#include <string>

namespace fathom {

// Whether it is the address of a PostgreSQL database, postgresql:// or postgres://, and no file's
// name.
bool IsPostgresAddress(const std::string& text);

// An address as errors and logs may have it: user, hosts, ports and database of it, and neither a
// password nor any other setting. Error, without any part of it, when it cannot be read.
std::string ShownAddress(const std::string& address);

}  // namespace fathom
