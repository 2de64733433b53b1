#include "cli/ledger_option.h"

namespace fathom {

void AddLedgerOption(Command command, std::string& ledger) {
  command
      .AddOption("--ledger", ledger,
                 "Keys and ledger: a file, or the postgresql:// address of a database")
      .Required();
}

}  // namespace fathom
