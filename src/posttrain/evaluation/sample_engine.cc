#include "posttrain/evaluation/sample_engine.h"

#include <algorithm>

namespace fathom {

SampleEngine::SampleEngine(Context& context, LoadedModel& model, int64_t at_a_time, int64_t longest,
                           bool quiet) {
  const EngineOptions options{.max_running = at_a_time, .max_length = longest};
  const int64_t pages = at_a_time * (KvCache::Pages(longest) + 1);
  model.Pack(context,
             {.pages = pages,
              .batch_tokens = options.step_tokens,
              .logit_rows = std::min(options.step_tokens, options.max_running)},
             quiet);
  executor_ = std::make_unique<TransformerExecutor>(context, model.transformer(), pages);
  engine_ = std::make_unique<Engine>(*executor_, options);
}

}  // namespace fathom
