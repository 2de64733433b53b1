#include "train/training_step.h"

#include <algorithm>
#include <cmath>

#include "ops/backend.h"

namespace fathom {
namespace {

// Rows [first, first + count) of a step.
TokenRows SelectRows(const TokenRows& rows, int64_t first, int64_t count) {
  TokenRows part;
  part.Reset(count, rows.length, rows.depth);
  const int64_t width = rows.length + 1 + rows.depth;
  std::copy_n(rows.tokens.begin() + first * width, count * width, part.tokens.begin());
  for (int64_t level = 0; level <= rows.depth; ++level) {
    std::copy_n(rows.targets.begin() + (level * rows.rows + first) * rows.length,
                count * rows.length, part.targets.begin() + level * count * rows.length);
  }
  for (Segment segment : rows.segments) {
    if (segment.row < first || segment.row >= first + count) continue;
    segment.row -= first;
    part.segments.push_back(segment);
  }
  for (ScoredExample example : rows.examples) {
    if (example.row < first || example.row >= first + count) continue;
    example.row -= first;
    part.examples.push_back(example);
  }
  return part;
}

int64_t CountTargets(const TokenRows& rows, int64_t level) {
  const auto begin = rows.targets.begin() + level * rows.rows * rows.length;
  return std::count_if(begin, begin + rows.rows * rows.length,
                       [](int32_t target) { return target >= 0; });
}

bool IsFinite(Context& context, ConstTensor x) {
  if (x.empty()) return true;
  if (x.dtype() == DType::kF32) return std::isfinite(context.backend->SumSquares(context, x));
  ArenaScope scope(*context.workspace);
  const Tensor copy = context.workspace->New(DType::kF32, Shape({x.elements()}));
  context.backend->Cast(context, x.Reshape(Shape({x.elements()})), copy);
  return std::isfinite(context.backend->SumSquares(context, copy));
}

}  // namespace

std::string FirstBadParameter(Context& context, const ParameterStore& store) {
  for (const Parameter* parameter : store.masters()) {
    if (!IsFinite(context, parameter->master))
      return fmt::format("parameter {}", parameter->spec.name);
  }
  return {};
}

LossInput MakeLossInput(const TokenRows& rows) {
  LossInput input;
  const int64_t depths = rows.depth + 1;
  input.inputs.resize(static_cast<size_t>(depths));
  input.targets.resize(static_cast<size_t>(depths));
  for (int64_t level = 0; level < depths; ++level) {
    std::vector<int32_t>& ids = input.inputs[static_cast<size_t>(level)];
    std::vector<int32_t>& targets = input.targets[static_cast<size_t>(level)];
    for (int64_t row = 0; row < rows.rows; ++row) {
      for (int64_t i = 0; i < rows.length; ++i) {
        ids.push_back(rows.Token(row, i + level));
        targets.push_back(rows.Target(level, row, i));
      }
    }
  }
  for (const Segment& segment : rows.segments) {
    input.sequences.push_back(
        {.begin = segment.row * rows.length + segment.begin, .count = segment.length});
  }
  for (int64_t i = 0; i < rows.rows * rows.length; ++i) {
    input.balance_group.push_back(static_cast<int32_t>(i / rows.length));
  }
  return input;
}

TrainingStep::TrainingStep(const TrainingSettings& settings, Transformer& transformer,
                           ParameterStore& store, Optimizer& optimizer, Allocator& allocator)
    : settings_(settings),
      transformer_(&transformer),
      store_(&store),
      optimizer_(&optimizer),
      saved_(allocator) {
  saved_.recompute = settings.precision.recompute;
}

StepResult TrainingStep::Run(Context& context, const TokenRows& rows, int64_t micro_batch_rows,
                             int64_t step, double lr, double mtp_weight, double bias_speed) {
  transformer_->Pack(context, settings_.Form(), /*training=*/true);
  for (const Parameter* parameter : store_->masters()) {
    if (!parameter->grad.empty()) context.backend->Zero(context, parameter->grad);
  }

  StepResult result;
  result.targets = objective_ != nullptr ? objective_->Count(rows) : CountTargets(rows, 0);
  const auto examples = static_cast<double>(std::max<int64_t>(1, result.targets));
  LossOptions options{.form = settings_.Form(), .balance_alpha = settings_.balance.sequence_alpha};
  options.balance_weight = 1 / static_cast<double>(rows.rows);
  options.soft = soft_;
  std::vector<double> nll(static_cast<size_t>(rows.depth + 1)), targets;
  for (int64_t level = 0; level <= rows.depth; ++level) {
    targets.push_back(static_cast<double>(std::max<int64_t>(1, CountTargets(rows, level))));
    const double weight = level == 0 ? 1 : mtp_weight / static_cast<double>(rows.depth);
    options.target_weight.push_back(weight / targets.back());
  }
  for (int64_t first = 0; first < rows.rows; first += micro_batch_rows) {
    const int64_t count = std::min(micro_batch_rows, rows.rows - first);
    const TokenRows part = count == rows.rows ? rows : SelectRows(rows, first, count);
    const LossInput input = MakeLossInput(part);
    if (objective_ != nullptr) {
      options.doutput = [&](std::span<const double> outputs) {
        std::vector<double> gradient(outputs.size());
        for (const auto& [name, sum] : objective_->Loss(part, outputs, gradient))
          result.parts[name] += sum / examples;
        for (double& value : gradient) value /= examples;
        return gradient;
      };
    }
    const LossOutput output = LanguageModelLoss(context, *transformer_, input, options, &saved_);
    for (size_t level = 0; level < nll.size(); ++level) nll[level] += output.nll[level];
    result.kl += output.kl / targets[0];
    result.balance_loss += output.balance_loss * options.balance_weight;
    CountExperts(saved_, result.expert_load);
    for (const BatchSequence& sequence : input.sequences) {
      const auto length = static_cast<double>(sequence.count);
      result.attention_pairs += length * (length + 1) / 2;
    }
    if (!std::isfinite(objective_ != nullptr ? result.parts["loss"] : output.nll[0])) {
      result.bad = FindBad(context);
      return result;
    }
  }
  result.loss = objective_ != nullptr ? result.parts["loss"] : nll[0] / targets[0];
  for (size_t level = 1; level < nll.size(); ++level)
    result.mtp_loss.push_back(nll[level] / targets[level]);

  const Optimizer::Norm norm = optimizer_->Step(context, lr, step + 1);
  result.grad_norm = norm.before_clipping;
  if (!norm.finite) {
    result.bad = FindBad(context);
    return result;
  }
  if (bias_speed > 0) {
    size_t number = 0;
    const auto update = [&](const DecoderLayer& layer) {
      const size_t i = number++;
      if (layer.moe() == nullptr || layer.moe()->router_bias() == nullptr) return;
      UpdateRouterBias(context, *layer.moe()->router_bias(), result.expert_load.tokens[i],
                       bias_speed);
    };
    for (const auto& layer : transformer_->layers()) update(*layer);
    for (const auto& module : transformer_->mtp()) update(module->layer());
  }
  return result;
}

// In the order in which numbers are made: parameters, activations layer by layer, gradients.
std::string TrainingStep::FindBad(Context& context) const {
  std::string parameter = FirstBadParameter(context, *store_);
  if (!parameter.empty()) return parameter;
  for (size_t i = 0; i < saved_.layers.size(); ++i) {
    const LayerSaved& layer = saved_.layers[i];
    const std::pair<const char*, ConstTensor> tensors[] = {
        {"input", layer.x_in},
        {"self_attn down projections", layer.mla.down},
        {"self_attn log-sum-exp of the scores", layer.mla.lse},
        {"self_attn output of the heads", layer.mla.heads_out},
        {"self_attn queries, keys and values", layer.gqa.qkv},
        {"self_attn log-sum-exp of the scores", layer.gqa.lse},
        {"self_attn output of the heads", layer.gqa.heads_out},
        {"residual stream after self_attn", layer.x_mid},
        {"mlp gate and up projections", layer.gate_up},
        {"mlp router scores", layer.moe.scores},
        {"mlp experts' gate and up projections", layer.moe.gate_up},
        {"mlp shared experts' gate and up projections", layer.moe.shared_gate_up}};
    for (const auto& [name, tensor] : tensors) {
      if (!IsFinite(context, tensor)) return fmt::format("activation model.layers.{}: {}", i, name);
    }
  }
  // Backward runs from the last parameter to the first.
  const std::vector<Parameter*> masters = store_->masters();
  for (auto last = masters.rbegin(); last != masters.rend(); ++last) {
    if (!(*last)->grad.empty() && !IsFinite(context, (*last)->grad)) {
      return fmt::format("gradient of {}", (*last)->spec.name);
    }
  }
  return "the logits";
}

}  // namespace fathom
