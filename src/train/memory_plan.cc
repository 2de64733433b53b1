#include "train/memory_plan.h"

#include <algorithm>

#include "backend/planning/planning_backend.h"
#include "base/error.h"
#include "base/log.h"
#include "train/checkpoint.h"
#include "train/training_step.h"

namespace fathom {
namespace {

constexpr MemoryRole kRoles[] = {
    MemoryRole::kWeights, MemoryRole::kPacked,    MemoryRole::kGradients, MemoryRole::kOptimizer,
    MemoryRole::kSaved,   MemoryRole::kWorkspace, MemoryRole::kCache};

constexpr int64_t kMostTokens = int64_t{1} << 26;

// A step's worth of rows that hold one document each.
TokenRows PlainRows(int64_t rows, int64_t length, int64_t depth) {
  TokenRows plain;
  plain.Reset(rows, length, depth);
  std::fill(plain.targets.begin(), plain.targets.end(), 0);
  for (int64_t row = 0; row < rows; ++row)
    plain.segments.push_back({.row = row, .begin = 0, .length = length});
  return plain;
}

// A score's loss, whatever it is: it is computed outside of the arenas.
class PlainObjective : public RowObjective {
 public:
  int64_t Count(const TokenRows& rows) const override { return rows.rows; }
  ObjectiveSums Loss(const TokenRows&, std::span<const double>, std::span<double>) const override {
    return {{"loss", 0}};
  }
};

}  // namespace

double MemoryPlan::total() const {
  double sum = 0;
  for (const double bytes : by_role) sum += bytes;
  return sum;
}

std::string MemoryPlan::ToTable() const {
  std::string table;
  for (const MemoryRole role : kRoles) {
    if (role == MemoryRole::kCache && (*this)[role] == 0) continue;  // only rollouts have one
    table += fmt::format("  {:<18} {:>10}\n", Name(role), FormatBytes((*this)[role]));
  }
  table += fmt::format("  {:<18} {:>10}", "together", FormatBytes(total()));
  return table;
}

MemoryPlan PlanTraining(const TrainingSettings& settings, const std::vector<TrainingStage>& stages,
                        const Backend& device, ThreadPool& pool) {
  MemoryPlan plan;
  for (const TrainingStage& stage : stages) {
    PlanningBackend backend(device);
    Arena workspace(MemoryRole::kWorkspace, backend.allocator());
    Context context{&backend, &pool, &workspace};
    TrainedModel model(settings, stage.model, /*init_from=*/{}, backend.allocator());
    ParameterStore& store = model.store();
    Optimizer optimizer(settings.optimizer, store, backend.allocator());
    Transformer transformer(stage.model, settings.ModelPrecision(), store, backend.allocator());
    TrainingStep step(settings, transformer, store, optimizer, backend.allocator());
    const PlainObjective objective;
    if (stage.model.head() == ModelHead::kScore) step.SetObjective(&objective);
    const int64_t micro_rows = stage.MicroBatchRows(settings);
    // The plan itself needs some memory a token.
    if (micro_rows * stage.sequence_length > kMostTokens) {
      throw Error("memory",
                  fmt::format("{} tokens at once are more than a machine holds",
                              micro_rows * stage.sequence_length),
                  "set micro_batch_tokens, or make it smaller");
    }
    // One micro-batch takes what all of them take one after the other.
    const TokenRows rows =
        PlainRows(micro_rows, stage.sequence_length, stage.model.num_nextn_predict_layers);
    step.Run(context, rows, micro_rows, 0, 0, settings.mtp.weight, 0);
    // Samples are written with inference's form of attention.
    if (settings.sample.every > 0)
      transformer.Pack(context, AttentionForm::kAbsorbed, /*training=*/false);
    const auto at_least = [&](MemoryRole role, size_t bytes) {
      plan[role] = std::max(plan[role], static_cast<double>(bytes));
    };
    at_least(MemoryRole::kWeights, model.weight_bytes());
    at_least(MemoryRole::kGradients, store.gradient_bytes());
    at_least(MemoryRole::kOptimizer,
             optimizer.bytes() + (settings.ema_decay > 0 ? store.weight_bytes() : 0));
    at_least(MemoryRole::kPacked, transformer.packed_bytes());
    at_least(MemoryRole::kSaved, step.saved_bytes());
    at_least(MemoryRole::kWorkspace, workspace.peak() + step.backward_bytes());
  }
  return plan;
}

void RefuseWhatDoesNotFit(const TrainingSettings& settings,
                          const std::vector<TrainingStage>& stages, const MemoryPlan& plan,
                          double available, const Backend& device, ThreadPool& pool) {
  if (plan.total() <= available) return;
  // Smaller micro-batches shrink activations alone; say the largest that fits.
  std::string hint =
      "a smaller model is needed: weights, gradients and optimizer alone are too large";
  TrainingSettings smaller = settings;
  const TrainingStage& first = stages.front();
  for (int64_t rows = first.MicroBatchRows(settings) / 2; rows >= 1; rows /= 2) {
    smaller.micro_batch_tokens = rows * first.sequence_length;
    if (PlanTraining(smaller, stages, device, pool).total() <= available) {
      hint = fmt::format("micro_batch_tokens = {} would fit", smaller.micro_batch_tokens);
      break;
    }
  }
  std::string sum;
  for (const MemoryRole role : kRoles) {
    if (role == MemoryRole::kCache) continue;
    sum += fmt::format("{}{} {}", sum.empty() ? "" : " + ", Name(role), FormatBytes(plan[role]));
  }
  throw Error("memory",
              fmt::format("the run needs {} ({}), but {} are available", FormatBytes(plan.total()),
                          sum, FormatBytes(available)),
              hint);
}

}  // namespace fathom
