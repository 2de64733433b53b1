#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/kept.h"
#include "model/linear.h"
#include "model/mlp.h"
#include "model/pass.h"
#include "ops/routing.h"

namespace fathom {

// What backward needs of one mixture of experts, and what load balancing reads.
struct MoeSaved {
  Tensor scores;                   // sum [T, experts]
  Tensor expert_ids;               // i32 [T, top_k], ascending
  Tensor weights;                  // sum [T, top_k]
  ExpertRows rows;                 // rows.offsets: how many tokens each expert got
  Tensor gate_up;                  // as kept_swiglu [T * top_k, 2 inter], rows sorted by expert
  Tensor shared_gate_up;           // the same [T, 2 shared width]; empty without shared experts
  Tensor balance_f, balance_loss;  // of the sequence-wise loss; empty without
};

// DeepSeekMoE: routed experts that a gate chooses and weights, and shared experts that every token
// passes through. V3 (report, section 2.1.2) chooses by sigmoid affinity plus bias, V2 (report,
// section 2.1.2) by softmax affinity.
class Moe {
 public:
  // prefix: that of its parameters, "model.layers.1.mlp."
  Moe(const ModelConfig& config, Precision precision, ParameterStore& store, int64_t layer,
      const std::string& prefix);

  void Pack(Context& context, PackedUse use, Arena& arena);

  // Null where the family has none.
  Parameter* router_bias() const { return router_bias_; }

  // x += experts(h); x sum [T, hidden]. What backward needs goes to `kept`; saved may be null.
  void Forward(Context& context, const Pass& pass, const NormedInput& h, Tensor x, MoeSaved* saved,
               Arena& kept) const;
  // Assigns dh sum [T, hidden] from dy act.
  void BackwardInput(Context& context, const Pass& pass, const NormedInput& h,
                     const MoeSaved& saved, ConstTensor dy, Tensor dh, Arena& keep,
                     PendingWeightGradients& pending) const;

 private:
  // `use` with every expert that has rows: the expert, and its rows [begin, end).
  template <typename Use>
  void ForEachExpert(const ExpertRows& rows, Use use) const;

  ModelConfig config_;
  Precision precision_;
  int64_t layer_;
  RouterOptions options_;
  Parameter* router_bias_;
  Linear router_;
  std::vector<Linear> gate_up_, down_;  // of the routed experts
  std::optional<Mlp> shared_;
};

}  // namespace fathom
