#pragma once

#include <cstdint>
#include <memory>

#include "infer/engine.h"
#include "infer/loaded_model.h"
#include "infer/transformer_executor.h"

namespace fathom {

// An engine of a model for samples: with as large a cache as they want, and no other tier.
class SampleEngine {
 public:
  // Packs the model for at_a_time sequences of `longest` tokens. Both have to outlive it. Errors as
  // LoadedModel::Pack's. Unless quiet, shows its progress.
  SampleEngine(Context& context, LoadedModel& model, int64_t at_a_time, int64_t longest,
               bool quiet);

  Engine& engine() { return *engine_; }

 private:
  std::unique_ptr<TransformerExecutor> executor_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace fathom
