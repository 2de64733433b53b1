#include "model/moe.h"

namespace fathom {
namespace {

RouterOptions MakeRouterOptions(const ModelConfig& config) {
  const bool v3 = config.family == Family::kDeepseekV3;
  return {.top_k = config.num_experts_per_tok,
          .groups = config.n_group,
          .top_groups = config.topk_group,
          .normalize = config.norm_topk_prob,
          .scaling_factor = config.routed_scaling_factor,
          .scoring = v3 ? RouterScoring::kSigmoid : RouterScoring::kSoftmax,
          .group_score = v3 ? GroupScore::kTopTwo : GroupScore::kMaximum};
}

}  // namespace

Moe::Moe(const ModelConfig& config, Precision precision, ParameterStore& store, int64_t layer,
         const std::string& prefix)
    : config_(config),
      precision_(precision),
      layer_(layer),
      options_(MakeRouterOptions(config)),
      router_bias_(config.has_router_bias() ? &store.Get(prefix + "gate.e_score_correction_bias")
                                            : nullptr),
      router_(store.Get(prefix + "gate.weight")) {
  for (int64_t expert = 0; expert < config.n_routed_experts; ++expert) {
    const std::string name = fmt::format("{}experts.{}.", prefix, expert);
    Parameter& gate = store.Get(name + "gate_proj.weight");
    Parameter& up = store.Get(name + "up_proj.weight");
    gate_up_.push_back(Linear({{&gate, 0, gate.spec.shape[0]}, {&up, 0, up.spec.shape[0]}}));
    down_.push_back(Linear(store.Get(name + "down_proj.weight")));
  }
  if (config.n_shared_experts > 0) shared_.emplace(precision, store, prefix + "shared_experts.");
}

void Moe::Pack(Context& context, PackedUse use, Arena& arena) {
  router_.Pack(context, precision_.sum, use, arena);
  for (Linear& linear : gate_up_) linear.Pack(context, precision_.projection, use, arena);
  for (Linear& linear : down_) linear.Pack(context, precision_.projection, use, arena);
  if (shared_) shared_->Pack(context, use, arena);
}

template <typename Use>
void Moe::ForEachExpert(const ExpertRows& rows, Use use) const {
  for (size_t expert = 0; expert + 1 < rows.offsets.size(); ++expert) {
    const int64_t begin = rows.offsets[expert], end = rows.offsets[expert + 1];
    if (begin < end) use(expert, begin, end);
  }
}

void Moe::Forward(Context& context, const Pass& pass, const NormedInput& h, Tensor x,
                  MoeSaved* saved, Arena& kept) const {
  MoeSaved local;
  MoeSaved& s = saved != nullptr ? *saved : local;
  Backend& backend = *context.backend;
  const int64_t tokens = h.act.dim(0), top_k = config_.num_experts_per_tok,
                experts = config_.n_routed_experts;
  const int64_t rows = tokens * top_k, width = config_.moe_intermediate_size;

  s.scores = kept.New(precision_.sum, Shape({tokens, experts}));
  s.expert_ids = kept.New(DType::kI32, Shape({tokens, top_k}));
  s.weights = kept.New(precision_.sum, Shape({tokens, top_k}));
  s.rows.token_of_row = kept.New(DType::kI32, Shape({rows}));
  s.rows.row_of_slot = kept.New(DType::kI32, Shape({tokens, top_k}));
  const bool kept_as_made = saved == nullptr || precision_.kept_swiglu == precision_.act;
  s.gate_up =
      kept.New(kept_as_made ? precision_.act : precision_.kept_swiglu, Shape({rows, 2 * width}));
  if (saved != nullptr && pass.balance_alpha > 0) {
    s.balance_f = kept.New(precision_.sum, Shape({pass.balance_groups, experts}));
    s.balance_loss = kept.New(precision_.sum, Shape({pass.balance_groups}));
  }
  Tensor shared_out;
  if (shared_) {
    shared_out = context.workspace->New(precision_.sum, Shape({tokens, config_.hidden_size}));
    shared_->Forward(context, h.operand, false, shared_out,
                     saved != nullptr ? &s.shared_gate_up : nullptr, kept);
  }

  ArenaScope scope(*context.workspace);
  const Tensor logits = context.workspace->New(precision_.sum, Shape({tokens, experts}));
  router_.Run(context, h.act, logits);
  backend.Route(context, logits, router_bias_ != nullptr ? router_bias_->value : ConstTensor(),
                options_, s.scores, s.expert_ids, s.weights);
  if (!s.balance_f.empty()) {
    backend.BalanceLoss(context, s.scores, s.expert_ids, pass.balance_group, pass.balance_alpha,
                        s.balance_f, s.balance_loss);
  }
  backend.SortByExpert(context, s.expert_ids, experts, &s.rows);
  if (pass.expert_load != nullptr) pass.expert_load->Add(layer_, s.rows.offsets);

  const Tensor gate_up =
      kept_as_made ? s.gate_up : context.workspace->New(precision_.act, s.gate_up.shape());
  const Tensor activated = context.workspace->New(precision_.act, Shape({rows, width}));
  const Tensor outputs = context.workspace->New(precision_.sum, Shape({rows, config_.hidden_size}));
  const MatrixRows inputs(h.operand, s.rows.token_of_row);
  std::vector<MatmulProblem> problems;
  ForEachExpert(s.rows, [&](size_t expert, int64_t begin, int64_t end) {
    gate_up_[expert].Forward(inputs.Rows(begin, end), gate_up.Rows(begin, end), false, problems);
  });
  backend.Matmul(context, problems);
  backend.SwiGlu(context, gate_up, activated);
  if (!kept_as_made) backend.Cast(context, gate_up, s.gate_up);
  problems.clear();
  ForEachExpert(s.rows, [&](size_t expert, int64_t begin, int64_t end) {
    down_[expert].Forward(activated.Rows(begin, end), outputs.Rows(begin, end), false, problems);
  });
  backend.Matmul(context, problems);
  backend.CombineExperts(context, outputs, s.rows, s.weights, shared_out, x);
}

void Moe::BackwardInput(Context& context, const Pass& pass, const NormedInput& h, const MoeSaved& s,
                        ConstTensor dy, Tensor dh, Arena& keep,
                        PendingWeightGradients& pending) const {
  Backend& backend = *context.backend;
  Arena& workspace = *context.workspace;
  const int64_t tokens = h.act.dim(0), hidden = config_.hidden_size;
  const int64_t rows = s.gate_up.dim(0), width = config_.moe_intermediate_size;
  if (shared_) {
    shared_->BackwardInput(context, h.operand, s.shared_gate_up, dy, false, dh, keep, pending);
  } else {
    backend.Zero(context, dh);
  }

  const MatrixRows inputs(h.operand, s.rows.token_of_row), d_outputs(dy, s.rows.token_of_row);
  const Tensor activated = keep.New(precision_.act, Shape({rows, width}));
  const Tensor d_gate_up = keep.New(precision_.act, Shape({rows, 2 * width}));
  const Tensor d_logits = keep.New(precision_.sum, Shape({tokens, config_.n_routed_experts}));
  const Tensor h_sum = keep.New(precision_.sum, h.act.shape());

  ArenaScope scope(workspace);
  const Tensor d_activated = workspace.New(precision_.act, Shape({rows, width}));
  const Tensor row_weights = workspace.New(precision_.sum, Shape({rows}));
  const Tensor gate_up = InType(context, s.gate_up, precision_.act, workspace);
  const Tensor d_row_weights = workspace.New(precision_.sum, Shape({rows}));
  const Tensor d_weights = workspace.New(precision_.sum, s.weights.shape());
  const Tensor d_inputs = workspace.New(precision_.sum, Shape({rows, hidden}));

  backend.PermuteSlots(context, s.rows, /*to_slots=*/false, s.weights, row_weights);

  // y = w E(a) with E linear in a: the gradient of w is (dy W_down) . a, so that no expert output
  // is kept, and the weight is applied to the activated row that W_down's gradient needs anyway.
  std::vector<MatmulProblem> problems;
  ForEachExpert(s.rows, [&](size_t expert, int64_t begin, int64_t end) {
    problems.push_back(
        down_[expert].BackwardInput(d_outputs.Rows(begin, end), d_activated.Rows(begin, end)));
  });
  backend.Matmul(context, problems);
  backend.SwiGluBackward(context, d_activated, gate_up, row_weights, d_gate_up, activated,
                         d_row_weights);
  problems.clear();
  ForEachExpert(s.rows, [&](size_t expert, int64_t begin, int64_t end) {
    problems.push_back(
        gate_up_[expert].BackwardInput(d_gate_up.Rows(begin, end), d_inputs.Rows(begin, end)));
    down_[expert].BackwardWeight(d_outputs.Rows(begin, end), activated.Rows(begin, end), pending);
    gate_up_[expert].BackwardWeight(d_gate_up.Rows(begin, end), inputs.Rows(begin, end), pending);
  });
  backend.Matmul(context, problems);
  backend.CombineExperts(context, d_inputs, s.rows, {}, {}, dh);

  backend.PermuteSlots(context, s.rows, /*to_slots=*/true, d_row_weights, d_weights);
  backend.RouteBackward(context, d_weights, s.scores, s.expert_ids, options_, s.balance_f,
                        pass.balance_group, d_logits);
  Matmul(context, router_.BackwardInput(d_logits, dh, /*accumulate=*/true));
  backend.Cast(context, h.act, h_sum);
  router_.BackwardWeight(d_logits, h_sum, pending);
}

}  // namespace fathom
