#pragma once

#include <string>

#include "cli/options/command.h"

namespace fathom {

// --ledger of the commands that look after a server's keys and ledger: a file, or an address.
void AddLedgerOption(Command command, std::string& ledger);

}  // namespace fathom
