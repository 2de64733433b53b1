#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/bench.h"
#include "cli/chat.h"
#include "cli/command_path.h"
#include "cli/common.h"
#include "cli/convert.h"
#include "cli/eval.h"
#include "cli/generate.h"
#include "cli/init.h"
#include "cli/inspect.h"
#include "cli/keys.h"
#include "cli/ledger.h"
#include "cli/plan.h"
#include "cli/problems.h"
#include "cli/pull.h"
#include "cli/rl.h"
#include "cli/score.h"
#include "cli/serve.h"
#include "cli/sft.h"
#include "cli/tokenize.h"
#include "cli/train.h"

namespace {

constexpr int kFailed = 1, kUsage = 2;

int Fail(std::string message, int code) {
  // One line, whatever the message was made of.
  while (!message.empty() && message.back() == '\n') message.pop_back();
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  // Not fmt::print, which throws where stderr is closed.
  std::fputs(fmt::format("fathom: error: {}\n", message).c_str(), stderr);
  return code;
}

// The command that the parser got to.
const CLI::App& LastCommand(const CLI::App& app) {
  const CLI::App* last = &app;
  while (!last->get_subcommands().empty()) last = last->get_subcommands().front();
  return *last;
}

// The parser's message as ours are.
std::string Explained(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = LastCommand(app);
  const std::string at = &command == &app ? "" : fathom::CommandPath(command) + ": ";
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> left = app.remaining(/*recurse=*/true);
    if (!left.empty()) {
      return fmt::format("{}nothing is known to do with '{}' (--help says what it takes)", at,
                         left[0]);
    }
  }
  const bool wants_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                             !command.get_subcommands([](const CLI::App*) { return true; }).empty();
  if (wants_command) return at + "which command? (--help lists them)";
  return fmt::format("{}{} (--help says more)", at, error.what());
}

}  // namespace

int main(int argc, char** argv) {
  // A closed pipe or connection is an error of the write.
  std::signal(SIGPIPE, SIG_IGN);
  fathom::StartLogging(/*quiet=*/false);
  CLI::App app("Fathom trains, serves and costs DeepSeek-style language models.", "fathom");
  app.require_subcommand(1);
  app.set_version_flag("--version", "fathom " FATHOM_VERSION);
  app.footer("Example: fathom generate my-model --prompt 'Once upon a time'");
  fathom::AddInitCommand(app);
  fathom::AddPullCommand(app);
  fathom::AddInspectCommand(app);
  fathom::AddTokenizeCommand(app);
  fathom::AddConvertCommand(app);
  fathom::AddProblemsCommand(app);
  fathom::AddTrainCommand(app);
  fathom::AddSftCommand(app);
  fathom::AddRlCommand(app);
  fathom::AddEvalCommand(app);
  fathom::AddGenerateCommand(app);
  fathom::AddScoreCommand(app);
  fathom::AddChatCommand(app);
  fathom::AddServeCommand(app);
  fathom::AddKeysCommand(app);
  fathom::AddLedgerCommand(app);
  fathom::AddBenchCommand(app);
  fathom::AddPlanCommand(app);
  try {
    fathom::CheckNames(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return Fail(Explained(app, error), kUsage);
  } catch (const fathom::UsageError& error) {
    return Fail(error.what(), kUsage);
  } catch (const std::bad_alloc&) {
    return Fail("out of memory", kFailed);
  } catch (const std::filesystem::filesystem_error& error) {
    return Fail(fmt::format("{}: {}", error.path1().string(), error.code().message()), kFailed);
  } catch (const std::exception& error) {
    return Fail(error.what(), kFailed);
  }
  return 0;
}
