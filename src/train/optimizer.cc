#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/log.h"
#include "ops/backend.h"

namespace fathom {

Optimizer::Optimizer(const TrainingSettings::Optimizer& config, ParameterStore& store,
                     Allocator& allocator)
    : config_(config), store_(&store), arena_(MemoryRole::kOptimizer, allocator) {
  for (const Parameter* parameter : store.masters()) {
    if (parameter->grad.empty()) continue;
    const DType dtype = config.moments == "bf16" ? DType::kBF16 : parameter->master.dtype();
    states_.push_back({parameter, arena_.New(dtype, parameter->spec.shape),
                       arena_.New(dtype, parameter->spec.shape)});
  }
}

void Optimizer::Reset(Context& context) {
  for (const State& state : states_) {
    context.backend->Zero(context, state.m);
    context.backend->Zero(context, state.v);
  }
}

Optimizer::Norm Optimizer::Step(Context& context, double lr, int64_t step) {
  double squares = 0;
  for (const State& state : states_)
    squares += context.backend->SumSquares(context, state.parameter->grad);
  const Norm norm{.before_clipping = std::sqrt(squares), .finite = std::isfinite(squares)};
  if (!norm.finite) return norm;
  AdamWArgs args{.lr = lr, .beta1 = config_.beta1, .beta2 = config_.beta2, .eps = config_.eps};
  args.bias1 = 1 - std::pow(config_.beta1, static_cast<double>(step));
  args.bias2 = 1 - std::pow(config_.beta2, static_cast<double>(step));
  args.grad_scale = std::min(1.0, config_.clip / (norm.before_clipping + 1e-6));
  for (const State& state : states_) {
    const Parameter& parameter = *state.parameter;
    args.param = parameter.master;
    args.grad = parameter.grad;
    args.m = state.m;
    args.v = state.v;
    args.weight_decay = parameter.spec.kind == ParameterKind::kMatrix ? config_.weight_decay : 0;
    context.backend->AdamW(context, args);
  }
  store_->MarkChanged();
  return norm;
}

void WarnOfWarmup(const TrainingSettings::Schedule& schedule, int64_t steps) {
  if (schedule.warmup_steps < steps) return;
  spdlog::warn(
      "schedule.warmup_steps {} is not less than steps {}: the learning rate never stays at "
      "optimizer.lr",
      schedule.warmup_steps, steps);
}

double LearningRate(const TrainingSettings::Schedule& schedule, double lr, int64_t step,
                    int64_t steps) {
  const auto s = static_cast<double>(step), total = static_cast<double>(steps);
  const auto warmup = static_cast<double>(schedule.warmup_steps);
  if (s < warmup) return lr * (s + 1) / warmup;
  const double floor = lr * schedule.min_lr_ratio;
  if (schedule.type == "cosine") {
    const double progress = std::min(1.0, (s - warmup) / std::max(1.0, total - warmup));
    return floor + (lr - floor) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
  if (schedule.type == "wsd") {
    const double decay_start = total * (1 - schedule.decay_fraction);
    if (s < decay_start) return lr;
    return floor + (lr - floor) * (total - s) / std::max(1.0, total - decay_start);
  }
  return lr;
}

void UpdateRouterBias(Context& context, Parameter& bias, const std::vector<int64_t>& load,
                      double speed) {
  const double mean =
      std::accumulate(load.begin(), load.end(), 0.0) / static_cast<double>(load.size());
  const Shape shape = bias.master.shape();
  std::vector<float> values(load.size());
  const Tensor host(values.data(), DType::kF32, shape);
  context.backend->CopyToHost(bias.master, host);
  for (size_t i = 0; i < load.size(); ++i) {
    const auto tokens = static_cast<double>(load[i]);
    if (tokens < mean) values[i] += static_cast<float>(speed);
    if (tokens > mean) values[i] -= static_cast<float>(speed);
  }
  context.backend->CopyFromHost(host, bias.master);
}

}  // namespace fathom
