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
#include "cli/common.h"
#include "cli/convert.h"
#include "cli/dashboard.h"
#include "cli/distill.h"
#include "cli/eval.h"
#include "cli/generate.h"
#include "cli/init.h"
#include "cli/inspect.h"
#include "cli/keys.h"
#include "cli/ledger.h"
#include "cli/options/program.h"
#include "cli/plan.h"
#include "cli/problems.h"
#include "cli/pull.h"
#include "cli/r1.h"
#include "cli/reward.h"
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

}  // namespace

int main(int argc, char** argv) {
  // A closed pipe or connection is an error of the write.
  std::signal(SIGPIPE, SIG_IGN);
  fathom::StartLogging(/*quiet=*/false);
  fathom::Program program("fathom",
                          "Fathom trains, serves and costs DeepSeek-style language models.",
                          "fathom " FATHOM_VERSION);
  fathom::Command app = program.command();
  app.RequireCommand();
  app.Footer("Example: fathom generate my-model --prompt 'Once upon a time'");
  fathom::AddInitCommand(app);
  fathom::AddPullCommand(app);
  fathom::AddInspectCommand(app);
  fathom::AddTokenizeCommand(app);
  fathom::AddConvertCommand(app);
  fathom::AddProblemsCommand(app);
  fathom::AddTrainCommand(app);
  fathom::AddSftCommand(app);
  fathom::AddRewardCommand(app);
  fathom::AddRlCommand(app);
  fathom::AddDistillCommand(app);
  fathom::AddR1Command(app);
  fathom::AddDashboardCommand(app);
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
    program.Run(argc, argv);
  } catch (const fathom::UsageError& error) {
    return Fail(error.what(), kUsage);
  } catch (const fathom::WasInterrupted&) {
    return fathom::kInterruptedStatus;
  } catch (const std::bad_alloc&) {
    return Fail("out of memory", kFailed);
  } catch (const std::filesystem::filesystem_error& error) {
    return Fail(fmt::format("{}: {}", error.path1().string(), error.code().message()), kFailed);
  } catch (const std::exception& error) {
    return Fail(error.what(), kFailed);
  }
  return 0;
}
