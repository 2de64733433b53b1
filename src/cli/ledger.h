#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom ledger export|audit
void AddLedgerCommand(CLI::App& app);

}  // namespace fathom
