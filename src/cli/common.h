#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/profiling/profiling_backend.h"
#include "base/thread_pool.h"
#include "cli/options/command.h"
#include "model/precision.h"
#include "ops/backend.h"

namespace fathom {

// What every command that computes takes.
struct CommonOptions {
  int threads = ThreadPool::AvailableProcessors();
  std::string device = "cpu";
  std::optional<uint64_t> seed;
  bool quiet = false;
  bool json = false;

  // --threads, --device, --seed, --quiet, --json.
  void AddTo(Command command);
  // The seed that was given, or one of the system's; the same at every call.
  uint64_t Seed();
};

// The device that a command computes on.
class Device {
 public:
  // Throws UsageError for an unknown name, Error when this machine or this build lacks the device.
  Device(std::string_view name, int threads);

  Context& context() { return context_; }
  ThreadPool& pool() { return pool_; }
  // From here on the context's operations are timed, while its recording is on (at first it is
  // off). Called once.
  ProfilingBackend& Profile();

 private:
  ThreadPool pool_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ProfilingBackend> profiling_;
  Arena workspace_;
  Context context_;
};

// What a profile says of each kind of work in one of `steps` steps: operation, shape, calls,
// milliseconds, flops, bytes.
nlohmann::ordered_json ProfileJson(const Profile& profile, int64_t steps);

// --dtype: what to compute in.
struct PrecisionOption {
  std::string dtype;

  void AddTo(Command command);
  std::optional<Precision> Get() const;
};

// --adapter: what is applied to a model's weights as they are loaded.
struct AdapterOption {
  std::filesystem::path directory;

  void AddTo(Command command);
};

// Ends a command whose work a signal has stopped in good order, to go on another time: all has been
// said, and the exit status is kInterruptedStatus.
struct WasInterrupted {};
inline constexpr int kInterruptedStatus = 130;  // 128 + SIGINT, as shells have it

// All of stdin.
std::string ReadStandardInput();
// Token ids separated by white space, commas or brackets, so that a JSON array of them is read too.
// Throws Error("WHERE, byte N", ...) for anything else.
std::vector<int32_t> ParseTokenIds(std::string_view text, std::string_view where);
// Writes and flushes; Error when that fails (a full disk). When nobody reads on (`| head`), the
// process ends as SIGPIPE ends one.
void WriteStandardOutput(std::string_view text);
// Characters in a line of the terminal that stdout is; 0 when it is none.
size_t OutputWidth();
// One line. What is not UTF-8 in it (paths, and names out of files) is replaced by U+FFFD.
void WriteJson(const nlohmann::ordered_json& json);

}  // namespace fathom
