#include "cli/train.h"

#include <memory>

#include "backend/cpu/cpu_backend.h"
#include "base/log.h"
#include "train/trainer.h"

namespace fathom {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  bool resume = false, dry_run = false, quiet = false;
  int threads = 0;
};

void RunTrain(const Options& options) {
  StartLogging(options.quiet);
  const RunConfig config = RunConfig::Load(options.config, options.overrides);
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  ThreadPool pool(options.threads > 0 ? options.threads : ThreadPool::AvailableProcessors());
  Arena workspace(MemoryRole::kWorkspace, backend->allocator());
  Context context{backend.get(), &pool, &workspace};
  if (options.dry_run) {
    DryRun(context, config, [](const std::string& line) { fmt::print("{}\n", line); });
    return;
  }
  TrainOptions train_options;
  train_options.resume = options.resume;
  train_options.quiet = options.quiet;
  const TrainSummary summary = Train(context, config, train_options);
  fmt::print("step {} loss {:.4f} bpb {:.4f} baseline {:.4f} seconds {:.1f}\n", summary.step,
             summary.loss, summary.bits_per_byte, summary.baseline_bits_per_byte, summary.seconds);
}

}  // namespace

void AddTrainCommand(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "Pre-train a model as run.toml says");
  command->add_option("config", options->config, "the run's configuration")->required();
  command->add_option("--set", options->overrides, "KEY=VALUE in place of what the file says")
      ->allow_extra_args(false);
  command->add_flag("--resume", options->resume, "go on from the newest checkpoint");
  command->add_flag("--dry-run", options->dry_run,
                    "say what the run would take (memory, time), and stop");
  command->add_option("--threads", options->threads, "threads (default: all processors)");
  command->add_flag("--quiet", options->quiet, "warnings only");
  command->footer("Example:\n  fathom train run.toml --set optimizer.lr=1e-3 --resume");
  command->callback([options] { RunTrain(*options); });
}

}  // namespace fathom
