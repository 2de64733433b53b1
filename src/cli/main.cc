#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "cli/bench.h"
#include "cli/chat.h"
#include "cli/common.h"
#include "cli/convert.h"
#include "cli/generate.h"
#include "cli/init.h"
#include "cli/inspect.h"
#include "cli/plan.h"
#include "cli/pull.h"
#include "cli/score.h"
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

}  // namespace

int main(int argc, char** argv) {
  // A closed pipe is an error of the write.
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
  fathom::AddTrainCommand(app);
  fathom::AddGenerateCommand(app);
  fathom::AddScoreCommand(app);
  fathom::AddChatCommand(app);
  fathom::AddBenchCommand(app);
  fathom::AddPlanCommand(app);
  try {
    fathom::CheckNames(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return Fail(fmt::format("{} (--help says more)", error.what()), kUsage);
  } catch (const fathom::UsageError& error) {
    return Fail(error.what(), kUsage);
  } catch (const std::bad_alloc&) {
    return Fail("out of memory", kFailed);
  } catch (const std::exception& error) {
    return Fail(error.what(), kFailed);
  }
  return 0;
}
