#include "cli/model_engine.h"

#include <algorithm>

#include "base/log.h"
#include "infer/model_identity.h"

namespace fathom {

void CacheFormatOption::AddTo(Command command) {
  command
      .AddOption("--cache-dtype", dtype,
                 "Store the cache's rows as they are computed with (auto), or the latents of "
                 "DeepSeek models in FP8 with scales")
      .OneOf({"auto", "fp8"})
      .ShowDefault();
}

void CacheOptions::AddTo(Command command) {
  format.AddTo(command);
  command.AddSize("--cache-memory", memory,
                  "Memory for the cache, such as 2GB: answers that do not fit together take turns; "
                  "what all of them want if not given");
  command.AddOption("--disk-cache", disk,
                    "Keep prefixes in files of this directory, and read what is there of them; "
                    "prompts and answers can be read from it");
  command.AddSize("--disk-cache-size", disk_bytes,
                  "What these files may take, such as 20GB; 8GiB if not given");
}

ModelEngine::ModelEngine(Device& device, LoadedModel& model, const CacheOptions& cache,
                         int64_t pages, int64_t least, EngineOptions options, bool quiet) {
  const CacheFormat format = cache.format.Get();
  const int64_t page_bytes =
      KvCache::kPageTokens * KvCache::BytesPerToken(model.config(), model.precision(), format);
  if (cache.memory > 0) {
    pages = std::min(pages, static_cast<int64_t>(cache.memory) / page_bytes);
    if (pages < least) {
      throw Error(
          "--cache-memory",
          fmt::format("{} hold {} tokens, and {} are needed",
                      FormatBytes(static_cast<double>(cache.memory)), pages * KvCache::kPageTokens,
                      least * KvCache::kPageTokens),
          fmt::format("give at least {}", FormatBytes(static_cast<double>(least * page_bytes))));
    }
  }
  model.Pack(device.context(),
             {.pages = pages,
              .format = format,
              .batch_tokens = options.step_tokens,
              .logit_rows = std::min(options.step_tokens, options.max_running)},
             quiet);
  executor_ =
      std::make_unique<TransformerExecutor>(device.context(), model.transformer(), pages, format);
  if (!cache.disk.empty()) {
    store_ = std::make_unique<PrefixStore>(cache.disk, static_cast<int64_t>(cache.disk_bytes),
                                           page_bytes);
    options.store = store_.get();
    options.model = ModelIdentity(model, *device.context().backend, format);
  }
  engine_ = std::make_unique<Engine>(*executor_, options);
}

}  // namespace fathom
