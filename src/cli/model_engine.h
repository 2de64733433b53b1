#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/common.h"
#include "cli/options/command.h"
#include "infer/engine.h"
#include "infer/loaded_model.h"
#include "infer/transformer_executor.h"

namespace fathom {

// --cache-dtype: what the cache's rows are stored as.
struct CacheFormatOption {
  std::string dtype = "auto";

  void AddTo(Command command);
  CacheFormat Get() const { return dtype == "fp8" ? CacheFormat::kFp8Latent : CacheFormat::kAct; }
};

// The options of an engine's cache: --cache-dtype, --cache-memory, --disk-cache, --disk-cache-size.
struct CacheOptions {
  CacheFormatOption format;
  uint64_t memory = 0;  // 0: what the work at hand wants
  std::filesystem::path disk;
  uint64_t disk_bytes = uint64_t{8} << 30;

  void AddTo(Command command);
};

// An engine with a model, its cache, and the disk tier if one was asked for.
class ModelEngine {
 public:
  // Packs the model. pages: what the work at hand wants; fewer where --cache-memory says so. least:
  // what it cannot do without. Throws Error when --cache-memory is less than that, and when the
  // memory is not there. Unless quiet, shows its progress.
  ModelEngine(Device& device, LoadedModel& model, const CacheOptions& cache, int64_t pages,
              int64_t least, EngineOptions options, bool quiet);

  Engine& engine() { return *engine_; }

 private:
  std::unique_ptr<TransformerExecutor> executor_;
  std::unique_ptr<PrefixStore> store_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace fathom
