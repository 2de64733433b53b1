#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom ledger export|audit
void AddLedgerCommand(Command app);

}  // namespace fathom
