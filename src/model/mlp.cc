#include "model/mlp.h"

#include "model/kept.h"

namespace fathom {

Mlp::Mlp(Precision precision, ParameterStore& store, const std::string& prefix)
    : precision_(precision) {
  Parameter& gate = store.Get(prefix + "gate_proj.weight");
  Parameter& up = store.Get(prefix + "up_proj.weight");
  gate_up_ = Linear({{&gate, 0, gate.spec.shape[0]}, {&up, 0, up.spec.shape[0]}});
  down_ = Linear(store.Get(prefix + "down_proj.weight"));
}

void Mlp::Pack(Context& context, PackedUse use, Arena& arena) {
  gate_up_.Pack(context, precision_.projection, use, arena);
  down_.Pack(context, precision_.projection, use, arena);
}

void Mlp::Forward(Context& context, ConstTensor h, bool accumulate, Tensor y, Tensor* kept_gate_up,
                  Arena& kept) const {
  const Shape shape({h.dim(0), gate_up_.out()});
  if (kept_gate_up != nullptr) *kept_gate_up = kept.New(precision_.kept_swiglu, shape);
  ArenaScope scope(*context.workspace);
  const bool in_place = kept_gate_up != nullptr && precision_.kept_swiglu == precision_.act;
  const Tensor gate_up = in_place ? *kept_gate_up : context.workspace->New(precision_.act, shape);
  const Tensor activated = context.workspace->New(precision_.act, Shape({h.dim(0), down_.in()}));
  gate_up_.Run(context, h, gate_up);
  context.backend->SwiGlu(context, gate_up, activated);
  down_.Run(context, activated, y, accumulate);
  if (kept_gate_up != nullptr && !in_place) context.backend->Cast(context, gate_up, *kept_gate_up);
}

void Mlp::BackwardInput(Context& context, ConstTensor h, Tensor kept_gate_up, ConstTensor dy,
                        bool accumulate, Tensor dh, Arena& keep,
                        PendingWeightGradients& pending) const {
  const Tensor activated = keep.New(precision_.act, Shape({h.dim(0), down_.in()}));
  const Tensor d_gate_up = keep.New(precision_.act, kept_gate_up.shape());
  {
    ArenaScope scope(*context.workspace);
    const Tensor d_activated = context.workspace->New(precision_.act, activated.shape());
    const Tensor gate_up = InType(context, kept_gate_up, precision_.act, *context.workspace);
    Matmul(context, down_.BackwardInput(dy, d_activated));
    context.backend->SwiGluBackward(context, d_activated, gate_up, {}, d_gate_up, activated, {});
  }
  down_.BackwardWeight(dy, activated, pending);
  Matmul(context, gate_up_.BackwardInput(d_gate_up, dh, accumulate));
  gate_up_.BackwardWeight(d_gate_up, h, pending);
}

}  // namespace fathom
