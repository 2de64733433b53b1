#include "cli/ledger_option.h"

namespace fathom {

void AddLedgerOption(Command command, std::string& ledger) {
  command.AddOption("--ledger", ledger, "The file with keys and ledger").Required();
}

}  // namespace fathom
