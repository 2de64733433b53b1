#include "model/output_head.h"

#include <algorithm>

namespace fathom {

OutputHead::OutputHead(const ModelConfig& config, Precision precision, ParameterStore& store)
    : precision_(precision), kind_(config.head()), head_(store.Get(config.head_parameter())) {}

void OutputHead::Logits(Context& context, ConstTensor h, Tensor logits) const {
  head_.Run(context, h, logits);
}

// Depends on the vocabulary alone, because the weight gradient's order of summation follows from
// it: about 4 M logits.
int64_t OutputHead::BlockRows() const {
  constexpr int64_t kLogits = int64_t{1} << 22;
  return std::clamp<int64_t>(kLogits / vocab_size() / 64 * 64, 64, Backend::kWeightGradientBlock);
}

void OutputHead::ForEachBlock(Context& context, ConstTensor h, double temperature,
                              ConstTensor targets, Tensor logprob,
                              FunctionRef<void(int64_t, int64_t, Tensor, Tensor)> use) const {
  const int64_t rows = h.dim(0), block = BlockRows();
  ArenaScope scope(*context.workspace);
  const Tensor logits =
      context.workspace->New(precision_.sum, Shape({std::min(rows, block), vocab_size()}));
  const Tensor lse = context.workspace->New(precision_.sum, Shape({std::min(rows, block)}));
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(rows, begin + block);
    const Tensor block_logits = logits.Rows(0, end - begin), block_lse = lse.Rows(0, end - begin);
    Logits(context, h.Rows(begin, end), block_logits);
    context.backend->LogProb(context, block_logits, temperature, targets.Rows(begin, end),
                             logprob.Rows(begin, end), block_lse);
    use(begin, end, block_logits, block_lse);
  }
}

void OutputHead::LogProb(Context& context, ConstTensor h, double temperature, ConstTensor targets,
                         Tensor logprob) const {
  ForEachBlock(context, h, temperature, targets, logprob, [](int64_t, int64_t, Tensor, Tensor) {});
}

std::vector<int32_t> OutputHead::Greedy(Context& context, ConstTensor h) const {
  const int64_t rows = h.dim(0), block = std::min(rows, BlockRows()), vocabulary = vocab_size();
  ArenaScope scope(*context.workspace);
  const Tensor logits = context.workspace->New(precision_.sum, Shape({block, vocabulary}));
  std::vector<int32_t> ids;
  const auto choose = [&](auto zero) {
    std::vector<decltype(zero)> values(static_cast<size_t>(block * vocabulary));
    for (int64_t begin = 0; begin < rows; begin += block) {
      const Tensor part = logits.Rows(0, std::min(rows, begin + block) - begin);
      Logits(context, h.Rows(begin, begin + part.dim(0)), part);
      context.backend->CopyToHost(part, Tensor(values.data(), precision_.sum, part.shape()));
      for (int64_t row = 0; row < part.dim(0); ++row) {
        const auto first = values.begin() + row * vocabulary;
        ids.push_back(static_cast<int32_t>(std::max_element(first, first + vocabulary) - first));
      }
    }
  };
  if (precision_.sum == DType::kF64) {
    choose(0.0);
  } else {
    choose(0.0F);
  }
  return ids;
}

void OutputHead::Diverge(Context& context, const SoftTargets& soft, int64_t begin, int64_t end,
                         Tensor logits, Tensor dlogits) const {
  FATHOM_CHECK(soft.teacher.vocab_size() == vocab_size());
  ArenaScope scope(*context.workspace);
  const Tensor teacher = context.workspace->New(precision_.sum, logits.shape());
  const Tensor lse = context.workspace->New(precision_.sum, Shape({end - begin}));
  const Tensor teacher_lse = context.workspace->New(precision_.sum, Shape({end - begin}));
  soft.teacher.Logits(context, soft.teacher_h.Rows(begin, end), teacher);
  Backend& backend = *context.backend;
  backend.LogProb(context, logits, soft.temperature, {}, {}, lse);
  backend.LogProb(context, teacher, soft.temperature, {}, {}, teacher_lse);
  backend.KlDivergence(context, soft.weight.Rows(begin, end), logits, lse, teacher, teacher_lse,
                       soft.temperature, soft.kl.Rows(begin, end), dlogits);
}

void OutputHead::Divergence(Context& context, ConstTensor h, const SoftTargets& soft) const {
  const int64_t rows = h.dim(0), block = BlockRows();
  ArenaScope scope(*context.workspace);
  const Tensor logits =
      context.workspace->New(precision_.sum, Shape({std::min(rows, block), vocab_size()}));
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(rows, begin + block);
    const Tensor block_logits = logits.Rows(0, end - begin);
    Logits(context, h.Rows(begin, end), block_logits);
    Diverge(context, soft, begin, end, block_logits, {});
  }
}

void OutputHead::ScoreBackward(Context& context, ConstTensor h, ConstTensor dscore,
                               Tensor dh) const {
  ArenaScope scope(*context.workspace);
  const int64_t rows = h.dim(0);
  const Tensor dlogits = context.workspace->New(precision_.act, Shape({rows, 1}));
  context.backend->Cast(context, dscore.Reshape(Shape({rows, 1})), dlogits);
  Matmul(context, head_.BackwardInput(dlogits, dh));
  PendingWeightGradients pending;
  head_.BackwardWeight(dlogits, h, pending);
  pending.Apply(context);
}

void OutputHead::LogProbAndBackward(Context& context, ConstTensor h, double temperature,
                                    ConstTensor targets, ConstTensor dlogprob, Tensor logprob,
                                    Tensor dh, const SoftTargets* soft) const {
  ArenaScope scope(*context.workspace);
  const Tensor dlogits = context.workspace->New(
      precision_.act, Shape({std::min(h.dim(0), BlockRows()), vocab_size()}));
  PendingWeightGradients pending;
  ForEachBlock(context, h, temperature, targets, logprob,
               [&](int64_t begin, int64_t end, Tensor logits, Tensor lse) {
                 const Tensor block_dlogits = dlogits.Rows(0, end - begin);
                 context.backend->LogProbBackward(context, dlogprob.Rows(begin, end), logits,
                                                  temperature, targets.Rows(begin, end), lse,
                                                  block_dlogits);
                 if (soft != nullptr) Diverge(context, *soft, begin, end, logits, block_dlogits);
                 Matmul(context, head_.BackwardInput(block_dlogits, dh.Rows(begin, end)));
                 head_.BackwardWeight(block_dlogits, h.Rows(begin, end), pending);
                 pending.Apply(context);
               });
}

}  // namespace fathom
