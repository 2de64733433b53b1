#include "train/training_settings.h"

#include <algorithm>

namespace fathom {

int64_t TrainingStage::MicroBatchRows(const TrainingSettings& settings) const {
  const int64_t tokens = settings.MicroBatchTokens(batch_tokens);
  return std::clamp<int64_t>(tokens / sequence_length, 1, std::max<int64_t>(1, batch_rows()));
}

}  // namespace fathom
