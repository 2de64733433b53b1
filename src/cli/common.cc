#include "cli/common.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "base/error.h"
#include "base/nearest.h"
#include "cli/command_path.h"

namespace fathom {
namespace {

using Names = std::set<std::string, std::less<>>;

[[noreturn]] void UnknownName(const CLI::App& command, const char* kind, std::string_view name,
                              const Names& known) {
  throw UsageError(CommandPath(command), fmt::format("there is no {} '{}'", kind, name),
                   NearestHint(name, known, "--help lists what there is"));
}

Names CommandNames(const CLI::App& command) {
  Names names;
  for (const CLI::App* part : command.get_subcommands([](const CLI::App*) { return true; })) {
    names.insert(part->get_name());
  }
  return names;
}

Names OptionNames(const CLI::App& command) {
  Names names;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // not for users
    for (const std::string& name : option->get_lnames()) names.insert("--" + name);
  }
  return names;
}

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

void CommonOptions::AddTo(CLI::App& command) {
  command.add_option("--threads", threads, "Threads to compute with")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--device", device,
                  "cpu, or reference: slow, in double precision, to check results against")
      ->capture_default_str();
  command
      .add_option("--seed", seed,
                  "Seed of the random numbers; another one at each run if not given")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 53));  // exact in every JSON reader
  command.add_flag("--quiet", quiet, "Print results, warnings and errors only");
  command.add_flag("--json", json, "Print the result as JSON on stdout");
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

void PrecisionOption::AddTo(CLI::App& command) {
  command.add_option("--dtype", dtype, "Compute in f32 or bf16; as the weights are if not given")
      ->check(CLI::IsMember({"f32", "bf16"}));
}

std::optional<Precision> PrecisionOption::Get() const {
  if (dtype.empty()) return std::nullopt;
  return dtype == "bf16" ? Precision::BF16() : Precision::F32();
}

void CheckNames(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* command = &app;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") return;
    // A minus before a digit is a number's.
    if (word.size() > 1 && word[0] == '-' && std::isalpha(word[word[1] == '-' ? 2 : 1]) != 0) {
      const size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      const CLI::Option* option = command->get_option_no_throw(name);
      if (option == nullptr) UnknownName(*command, "option", name, OptionNames(*command));
      // Its values, whatever they look like.
      if (equals == std::string::npos) i += option->get_items_expected_min();
      continue;
    }
    const auto found =
        command->get_subcommands([&](const CLI::App* part) { return part->get_name() == word; });
    if (!found.empty()) {
      command = found.front();
    } else if (command->get_require_subcommand_min() > 0) {
      UnknownName(*command, "command", word, CommandNames(*command));
    }
  }
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
