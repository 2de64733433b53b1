// Drafts of an MTP module against the main model's own choice.

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

// Ids that the head prefers, so that draft and choice often agree and often do not.
void PreferTwoIds(TinyModel& tiny, Context& context) {
  const Tensor& head = tiny.store.Get("lm_head.weight").master;
  std::vector<double> values = LoadAll(head);
  for (const int64_t id : {3, 17}) {
    for (int64_t j = 0; j < head.dim(1); ++j)
      values[static_cast<size_t>(id * head.dim(1) + j)] *= 6;
  }
  StoreAll(head, values);
  tiny.store.MarkChanged();
  tiny.Pack(context);
}

// The likeliest id at one place of one depth, found by asking for the loss of every id there.
int32_t Likeliest(Context& context, const Transformer& model, LossInput input, size_t depth,
                  size_t place) {
  for (auto& targets : input.targets) std::fill(targets.begin(), targets.end(), -1);
  int32_t best = 0;
  double least = INFINITY;
  for (int32_t id = 0; id < model.config().vocab_size; ++id) {
    input.targets[depth][place] = id;
    const double loss = LanguageModelLoss(context, model, input, {}, nullptr).nll[depth];
    if (loss < least) {
      least = loss;
      best = id;
    }
  }
  return best;
}

TEST(DraftAcceptance, CountsDraftsThatAreTheMainModelsChoice) {
  TestRun run(CreateReferenceBackend(), 1);
  TinyModel tiny(run, TinyConfig(), Precision::Double());
  PreferTwoIds(tiny, run.context());
  const std::vector<int64_t> lengths = {14, 1, 2, 16};
  const LossInput input = RandomLossInput(TinyConfig(), lengths, 5);
  const LossOutput output =
      LanguageModelLoss(run.context(), tiny.model, input, {.count_drafts = true}, nullptr);

  int64_t accepted = 0, targets = 0;
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    // The last two tokens of a sequence have none to draft.
    for (int64_t i = begin; i + 2 < begin + length; ++i) {
      const int32_t draft = Likeliest(run.context(), tiny.model, input, 1, static_cast<size_t>(i));
      const int32_t choice =
          Likeliest(run.context(), tiny.model, input, 0, static_cast<size_t>(i + 1));
      accepted += draft == choice ? 1 : 0;
      ++targets;
    }
    begin += length;
  }
  EXPECT_EQ(output.targets[1], targets);
  EXPECT_EQ(output.accepted[1], accepted);
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, targets);
  EXPECT_EQ(output.accepted[0], output.targets[0]);
}

// Logits of a whole batch do not fit into one block of the head.
TEST(DraftAcceptance, GreedyTakesTheLowestOfEqualIdsInEveryBlock) {
  ModelConfig config = TinyConfig();
  config.vocab_size = 70000;
  TestRun run(CreateCpuBackend(), 2);
  TinyModel tiny(run, config, Precision::F32());
  const Tensor& head = tiny.store.Get("lm_head.weight").master;
  const std::vector<double> zeros(static_cast<size_t>(head.elements()));
  StoreAll(head, zeros);
  for (const int64_t id : {400, 69999}) Store(head, id, 0, 1.0);
  tiny.store.MarkChanged();
  tiny.Pack(run.context());
  const int64_t rows = 150;
  const TestTensor h(DType::kF32, {rows, config.hidden_size});
  std::vector<double> values(static_cast<size_t>(h.elements()));
  // Where the first element is positive, ids 400 and 69999 are the largest; elsewhere all others.
  for (int64_t row = 0; row < rows; ++row)
    values[static_cast<size_t>(row * config.hidden_size)] = row % 3 == 0 ? -1 : 1;
  StoreAll(h, values);
  const std::vector<int32_t> ids = tiny.model.head().Greedy(run.context(), h);
  ASSERT_EQ(ids.size(), static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row)
    EXPECT_EQ(ids[static_cast<size_t>(row)], row % 3 == 0 ? 0 : 400) << row;
}

}  // namespace
}  // namespace fathom::test
