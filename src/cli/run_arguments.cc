#include "cli/run_arguments.h"

namespace fathom {

void RunArguments::AddTo(Command command, const Help& help) {
  command.AddOption(help.file, config, help.config).Required();
  command.AddOption("--set", overrides, "KEY=VALUE in place of what the file says; repeatable")
      .Repeatable();
  command.AddFlag("--resume", resume, help.resume);
  command.AddFlag("--dry-run", dry_run, help.dry_run);
  common.AddTo(command);
  command.GetOption("--seed").Describe("In place of the configuration's seed");
}

}  // namespace fathom
