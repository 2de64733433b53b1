#include "cli/bench.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/model_engine.h"
#include "infer/benchmark.h"
#include "infer/loaded_model.h"
#include "infer/roofline.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

struct BenchArguments {
  CommonOptions common;
  PrecisionOption precision;
  CacheFormatOption cache;
  std::filesystem::path directory;
  int64_t prompt = 512;
  int64_t generate = 128;
  std::vector<int64_t> depths = {0};
  std::vector<int64_t> batches = {1, 16};
  int64_t chunk = 512;
  int64_t repetitions = 3;
  int64_t drafts = 1;
};

// What this machine can do, measured right beside what is compared with it.
struct Machine {
  double peak_flops = 0;      // in the type of most weights
  double read_bandwidth = 0;  // bytes a second
};

// What guessing ahead does to one line of the result.
struct Drafts {
  int64_t drafts = 0;                      // guesses at a time; 0: not measured
  std::vector<double> speed_ups;           // of each repetition, over its turn without
  std::vector<int64_t> guessed, accepted;  // by place
  double tokens_per_cycle = 0;
  double bytes = 0;  // that a step reads at least, over those of one without

  double SpeedUp() const { return Median(speed_ups); }
  // Of the speed-up that reading alone would give.
  double ShareOfBound() const { return bytes > 0 ? SpeedUp() * bytes / tokens_per_cycle : 0; }
  std::vector<double> Acceptance() const {
    std::vector<double> shares;
    for (size_t i = 0; i < guessed.size(); ++i) {
      shares.push_back(
          guessed[i] > 0 ? static_cast<double>(accepted[i]) / static_cast<double>(guessed[i]) : 0);
    }
    return shares;
  }
};

// One line of the result.
struct Line {
  const char* test;
  int64_t depth, batch, tokens;  // tokens: computed in one repetition, over all sequences
  std::vector<double> seconds;
  Machine machine;
  double floor_bytes = 0, floor_flops = 0;  // of one repetition, at least
  Drafts drafts = {};

  double ShareOf(double work, double rate) const {
    const double median = Median(seconds);
    return median > 0 && rate > 0 ? work / rate / median : 0;
  }
  double BandwidthShare() const { return ShareOf(floor_bytes, machine.read_bandwidth); }
  double PeakShare() const { return ShareOf(floor_flops, machine.peak_flops); }

  double Speed() const {
    const double median = Median(seconds);
    return median > 0 ? static_cast<double>(tokens) / median : 0;
  }
};

std::vector<BenchmarkCase> Cases(const BenchArguments& arguments, int64_t drafts) {
  std::vector<BenchmarkCase> cases;
  for (const int64_t depth : arguments.depths) {
    for (size_t i = 0; i < arguments.batches.size(); ++i) {
      // Prefill is measured with one sequence, once at each depth.
      cases.push_back({.depth = depth,
                       .prompt = i == 0 ? arguments.prompt : 0,
                       .generate = arguments.generate,
                       .batch = arguments.batches[i],
                       .chunk = arguments.chunk,
                       .drafts = drafts});
    }
  }
  return cases;
}

Drafts DraftsOf(const BenchmarkCase& measured, const BenchmarkTimes& times,
                const ForwardFloor& floor) {
  Drafts drafts{.drafts = measured.drafts, .guessed = times.guessed, .accepted = times.accepted};
  for (size_t i = 0; i < times.drafted_seconds.size(); ++i) {
    drafts.speed_ups.push_back(times.decode_seconds[i] / times.drafted_seconds[i]);
  }
  drafts.tokens_per_cycle =
      times.TokensPerCycle(measured.generate * measured.batch * std::ssize(times.drafted_seconds));
  drafts.bytes = floor.DraftedOverPlainBytes(measured.batch, measured.drafts,
                                             measured.depth + measured.generate / 2);
  return drafts;
}

std::vector<Line> Measure(const BenchArguments& arguments, const std::vector<BenchmarkCase>& cases,
                          Device& device, const LoadedModel& model) {
  int64_t work = 0, done = 0;
  for (const BenchmarkCase& measured : cases)
    work += BenchmarkWork(measured, arguments.repetitions);
  Progress progress("measuring", "tokens", static_cast<double>(work), arguments.common.quiet);
  InterruptGuard guard;
  const ForwardFloor floor = FloorOf(model.config(), model.precision(), arguments.cache.Get(),
                                     model.transformer().parameters());
  std::vector<Line> lines;
  for (const BenchmarkCase& measured : cases) {
    Context& context = device.context();
    const Machine machine{context.backend->MeasurePeakFlops(context, floor.weights),
                          context.backend->MeasureReadBandwidth(context)};
    const BenchmarkTimes times = RunBenchmark(
        device.context(), model.transformer(), arguments.cache.Get(), measured,
        arguments.repetitions, [&](int64_t tokens) {
          progress.Update(static_cast<double>(done + tokens),
                          fmt::format("depth {}, batch {}", measured.depth, measured.batch));
          return !InterruptGuard::Requested();
        });
    InterruptGuard::ThrowIfRequested("measuring");
    done += BenchmarkWork(measured, arguments.repetitions);
    if (measured.prompt > 0) {
      const auto tokens = static_cast<double>(measured.prompt);
      const int64_t middle = measured.depth + measured.prompt / 2;
      const int64_t chunks = (measured.prompt + measured.chunk - 1) / measured.chunk;
      lines.push_back(
          {.test = "prefill",
           .depth = measured.depth,
           .batch = 1,
           .tokens = measured.prompt,
           .seconds = times.prefill_seconds,
           .machine = machine,
           .floor_bytes = floor.WeightBytes(std::min(measured.prompt, measured.chunk)) * chunks,
           .floor_flops = floor.PromptFlops(middle) * tokens});
    }
    if (measured.generate > 0) {
      const auto steps = static_cast<double>(measured.generate);
      const auto batch = static_cast<double>(measured.batch);
      const int64_t middle = measured.depth + measured.generate / 2;
      lines.push_back({.test = "decode",
                       .depth = measured.depth,
                       .batch = measured.batch,
                       .tokens = measured.generate * measured.batch,
                       .seconds = times.decode_seconds,
                       .machine = machine,
                       .floor_bytes = steps * (floor.WeightBytes(measured.batch) +
                                               batch * floor.CacheBytes(middle)),
                       .floor_flops = steps * batch * floor.PromptFlops(middle)});
      if (measured.drafts > 0) lines.back().drafts = DraftsOf(measured, times, floor);
    }
  }
  return lines;
}

// Beside the table of speeds: how much guessing ahead gains.
void PrintDrafts(const std::vector<Line>& lines) {
  std::string table;
  for (const Line& line : lines) {
    const Drafts& drafts = line.drafts;
    if (drafts.drafts == 0) continue;
    if (table.empty()) {
      table = fmt::format("\n{:<8} {:>8} {:>6} {:>7} {:>13} {:>12} {:>9} {:>10}  {}\n", "drafts",
                          "depth", "batch", "guesses", "tokens/cycle", "bytes read", "speed-up",
                          "of bound", "accepted by place");
    }
    std::string accepted;
    for (const double share : drafts.Acceptance()) {
      accepted += fmt::format("{}{:.0f} %", accepted.empty() ? "" : ", ", 100 * share);
    }
    table +=
        fmt::format("{:<8} {:>8} {:>6} {:>7} {:>13.2f} {:>10.2f} x {:>7.2f} x {:>8.0f} %  {}\n",
                    line.test, line.depth, line.batch, drafts.drafts, drafts.tokens_per_cycle,
                    drafts.bytes, drafts.SpeedUp(), 100 * drafts.ShareOfBound(), accepted);
  }
  WriteStandardOutput(table);
}

void PrintTable(const std::vector<Line>& lines) {
  std::string table =
      fmt::format("{:<8} {:>8} {:>6} {:>8} {:>12} {:>14} {:>12} {:>9}\n", "test", "depth", "batch",
                  "tokens", "tokens/s", "ms a token", "of bandwidth", "of peak");
  for (const Line& line : lines) {
    const double steps = static_cast<double>(line.tokens) / static_cast<double>(line.batch);
    table += fmt::format("{:<8} {:>8} {:>6} {:>8} {:>12.1f} {:>14.3f} {:>10.0f} % {:>7.0f} %\n",
                         line.test, line.depth, line.batch, line.tokens, line.Speed(),
                         1e3 * Median(line.seconds) / steps, 100 * line.BandwidthShare(),
                         100 * line.PeakShare());
  }
  WriteStandardOutput(table);
}

void Bench(const BenchArguments& arguments) {
  if (arguments.prompt == 0 && arguments.generate == 0) {
    throw UsageError("bench", "--prompt 0 and --generate 0 leave nothing to measure");
  }
  Device device(arguments.common.device, arguments.common.threads);
  LoadedModel model(arguments.directory, arguments.precision.Get(),
                    arguments.drafts > 0 ? MtpUse::kIfItFits : MtpUse::kNone);
  std::vector<BenchmarkCase> cases = Cases(arguments, arguments.drafts);
  int64_t pages = 0;
  for (const BenchmarkCase& measured : cases) pages = std::max(pages, BenchmarkPages(measured));
  const int64_t largest = *std::max_element(arguments.batches.begin(), arguments.batches.end());
  model.Pack(device.context(),
             {.pages = pages,
              .format = arguments.cache.Get(),
              .batch_tokens = largest * (1 + arguments.drafts) + arguments.chunk,
              .logit_rows = largest * (1 + arguments.drafts)},
             arguments.common.quiet);
  if (model.transformer().mtp().empty()) {
    for (BenchmarkCase& measured : cases) measured.drafts = 0;
  }
  const std::vector<Line> lines = Measure(arguments, cases, device, model);

  const auto packed = static_cast<int64_t>(model.transformer().packed_bytes());
  const auto workspace = static_cast<int64_t>(device.context().workspace->peak());
  if (arguments.common.json) {
    ordered_json json;
    json["model"] = arguments.directory.string();
    json["device"] = device.context().backend->name();
    json["threads"] = arguments.common.threads;
    json["dtype"] = Name(model.precision().act);
    json["cache_dtype"] = arguments.cache.dtype;
    json["mode"] = "exact";
    json["results"] = ordered_json::array();
    for (const Line& line : lines) {
      json["results"].push_back({{"test", line.test},
                                 {"depth", line.depth},
                                 {"batch", line.batch},
                                 {"tokens", line.tokens},
                                 {"tokens_per_second", line.Speed()},
                                 {"seconds", line.seconds},
                                 {"share_of_bandwidth", line.BandwidthShare()},
                                 {"share_of_peak", line.PeakShare()},
                                 {"read_bandwidth", line.machine.read_bandwidth},
                                 {"peak_flops", line.machine.peak_flops}});
      if (const Drafts& drafts = line.drafts; drafts.drafts > 0) {
        json["results"].back()["drafts"] = {{"tokens", drafts.drafts},
                                            {"acceptance", drafts.Acceptance()},
                                            {"tokens_per_cycle", drafts.tokens_per_cycle},
                                            {"bytes_ratio", drafts.bytes},
                                            {"speed_up", drafts.SpeedUp()},
                                            {"share_of_bound", drafts.ShareOfBound()}};
      }
    }
    json["memory_bytes"] = {{"packed_weights", packed},
                            {"cache", model.memory().cache},
                            {"workspace", workspace},
                            {"peak_resident", PeakResidentMemory()}};
    WriteJson(json);
    return;
  }
  PrintTable(lines);
  PrintDrafts(lines);
  if (arguments.common.quiet) return;
  const auto bytes = [](int64_t count) { return FormatBytes(static_cast<double>(count)); };
  fmt::print(stderr,
             "{} on {} threads in {}, exact mode, median of {}; packed weights {}, workspace {}, "
             "most resident {}\n",
             device.context().backend->name(), arguments.common.threads,
             Name(model.precision().act), arguments.repetitions, bytes(packed), bytes(workspace),
             bytes(PeakResidentMemory()));
}

}  // namespace

void AddBenchCommand(Command app) {
  Command command =
      app.AddCommand("bench", "Measure the speed of prefill and decode, and the memory.");
  command.Footer(
      "Example: fathom bench my-model --prompt 512 --generate 128 --depth 0,4096 "
      "--batch 1,16 --json");
  const auto arguments = std::make_shared<BenchArguments>();
  constexpr int64_t kMostTokens = int64_t{1} << 24;
  command.AddOption("DIR", arguments->directory, "A model directory or a .gguf file").Required();
  command.AddOption("--prompt", arguments->prompt, "Prompt tokens to time; 0: none")
      .InRange(0, kMostTokens)
      .ShowDefault();
  command.AddOption("--generate", arguments->generate, "Tokens to generate; 0: none")
      .InRange(0, kMostTokens)
      .ShowDefault();
  command
      .AddOption("--depth", arguments->depths,
                 "Tokens before that in the cache; several with commas")
      .Delimiter(',')
      .InRange(0, kMostTokens)
      .ShowDefault();
  command
      .AddOption("--batch", arguments->batches,
                 "Sequences that decode at a time; several with commas")
      .Delimiter(',')
      .InRange(1, 4096)
      .ShowDefault();
  command.AddOption("--chunk", arguments->chunk, "Prompt tokens computed at a time")
      .InRange(1, int64_t{1} << 16)
      .ShowDefault();
  command.AddOption("--repeat", arguments->repetitions, "Repetitions, after one to warm up")
      .InRange(1, 1000)
      .ShowDefault();
  command
      .AddOption("--draft-tokens", arguments->drafts,
                 "Decode also, in turns, with so many guesses at a time of the model's MTP "
                 "module, if it has one that fits into memory; 0: do not")
      .InRange(0, 16)
      .ShowDefault();
  arguments->cache.AddTo(command);
  arguments->precision.AddTo(command);
  arguments->common.AddTo(command);
  command.OnRun([arguments] { Bench(*arguments); });
}

}  // namespace fathom
