#include "cli/common.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "base/error.h"

namespace fathom {
namespace {

std::unique_ptr<Backend> CreateBackend(std::string_view name) {
  if (name == "cpu") return CreateCpuBackend();
  if (name == "reference") return CreateReferenceBackend();
  if (name == "cuda") {
    throw Error("--device cuda", "this build has no CUDA", "leave --device away to use the CPU");
  }
  throw UsageError("--device", fmt::format("'{}' is not known", name),
                   "it can be cpu or reference");
}

}  // namespace

void CommonOptions::AddTo(Command command) {
  command.AddOption("--threads", threads, "Threads to compute with").InRange(1, 1024).ShowDefault();
  command
      .AddOption("--device", device,
                 "cpu, or reference: slow, in double precision, to check results against")
      .ShowDefault();
  command
      .AddOption("--seed", seed, "Seed of the random numbers; another one at each run if not given")
      .InRange(0, int64_t{1} << 53);  // exact in every JSON reader
  command.AddFlag("--quiet", quiet, "Print results, warnings and errors only");
  command.AddFlag("--json", json, "Print the result as JSON on stdout");
}

uint64_t CommonOptions::Seed() {
  if (!seed) {
    std::random_device system;
    seed = (uint64_t{system()} << 16 ^ system()) & 0xFFFFFFFFFFFF;
  }
  return *seed;
}

Device::Device(std::string_view name, int threads)
    : pool_(threads), backend_(CreateBackend(name)), workspace_(MemoryRole::kWorkspace) {
  context_.backend = backend_.get();
  context_.pool = &pool_;
  context_.workspace = &workspace_;
}

ProfilingBackend& Device::Profile() {
  profiling_ = std::make_unique<ProfilingBackend>(*backend_);
  profiling_->set_recording(false);
  context_.backend = profiling_.get();
  return *profiling_;
}

nlohmann::ordered_json ProfileJson(const Profile& profile, int64_t steps) {
  const auto count = static_cast<double>(std::max<int64_t>(1, steps));
  auto json = nlohmann::ordered_json::array();
  for (const OperationProfile& operation : profile.Operations()) {
    json.push_back({{"operation", operation.name},
                    {"shape", operation.shape},
                    {"calls", static_cast<double>(operation.calls) / count},
                    {"milliseconds", 1e3 * operation.seconds / count},
                    {"flops", operation.flops / count},
                    {"bytes", operation.bytes / count}});
  }
  return json;
}

void PrecisionOption::AddTo(Command command) {
  command.AddOption("--dtype", dtype, "Compute in f32 or bf16; as the weights are if not given")
      .OneOf({"f32", "bf16"});
}

std::optional<Precision> PrecisionOption::Get() const {
  if (dtype.empty()) return std::nullopt;
  return dtype == "bf16" ? Precision::BF16() : Precision::F32();
}

void AdapterOption::AddTo(Command command) {
  command.AddOption("--adapter", directory,
                    "A LoRA adapter for the model, as `fathom sft` and PEFT save it");
}

std::string ReadStandardInput() {
  std::string text;
  char buffer[1 << 16];
  size_t count;
  while ((count = std::fread(buffer, 1, sizeof(buffer), stdin)) > 0) text.append(buffer, count);
  if (std::ferror(stdin) != 0) throw Error("standard input", "cannot be read");
  return text;
}

size_t OutputWidth() {
  struct winsize size = {};
  if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

void WriteStandardOutput(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return;
  if (errno == EPIPE) {
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  throw Error("standard output", fmt::format("cannot be written: {}", std::strerror(errno)));
}

void WriteJson(const nlohmann::ordered_json& json) {
  constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
  WriteStandardOutput(json.dump(-1, ' ', false, kReplace) + "\n");
}

std::vector<int32_t> ParseTokenIds(std::string_view text, std::string_view where) {
  constexpr std::string_view kSeparators = " \t\r\n,[]";
  std::vector<int32_t> ids;
  for (size_t begin = text.find_first_not_of(kSeparators); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, begin), text.size());
    int32_t id = -1;
    const auto [parsed, error] = std::from_chars(text.data() + begin, text.data() + end, id);
    if (error != std::errc() || parsed != text.data() + end) {
      throw Error(fmt::format("{}, byte {}", where, begin),
                  fmt::format("'{}' is not a token id",
                              text.substr(begin, std::min<size_t>(end - begin, 40))),
                  "ids are whole numbers separated by spaces");
    }
    ids.push_back(id);
    begin = text.find_first_not_of(kSeparators, end);
  }
  return ids;
}

}  // namespace fathom
