#pragma once

#include "posttrain/sft/sft_config.h"
#include "train/trainer.h"

namespace fathom {

// Tunes a model on conversations (docs/fine-tuning.md): from its start or its newest checkpoint to
// its end; what RunTraining does. Scores are mean -logprobs of held-out answers' tokens, in nats.
// Errors as in its parts.
TrainSummary RunSft(Context& context, const SftConfig& config, const TrainOptions& options);

// Throws the Errors of RunSft that can be known before its conversations are there: of the model,
// its chat template, and a step that does not fit into memory.
void CheckSft(Context& context, const SftConfig& config);

// What it would go through, its conversations counted; leaves nothing behind.
std::vector<TrainingStage> SftStages(const SftConfig& config, ThreadPool& pool, bool quiet);

// sample.prompt as a user's message, for the text shown while training. Throws Error when it leaves
// no room in the model's context.
std::vector<int32_t> SftSamplePrompt(const SftConfig& config);

}  // namespace fathom
