#pragma once

#include <string>

#include "model/linear.h"
#include "model/pass.h"

namespace fathom {

// y = down(silu(gate(x)) * up(x)): the dense layers' MLP and the shared experts.
class Mlp {
 public:
  // prefix: "model.layers.0.mlp."
  Mlp(Precision precision, ParameterStore& store, const std::string& prefix);

  void Pack(Context& context, PackedUse use, Arena& arena);

  int64_t width() const { return down_.in(); }

  // y (+)= mlp(h); h a projection's operand [T, hidden]; y sum [T, hidden]. gate_up [T, 2 width] as
  // it is kept for backward goes to `kept`; null: it is not.
  void Forward(Context& context, ConstTensor h, bool accumulate, Tensor y, Tensor* gate_up,
               Arena& kept) const;
  // dh sum (+)= from dy act.
  void BackwardInput(Context& context, ConstTensor h, Tensor gate_up, ConstTensor dy,
                     bool accumulate, Tensor dh, Arena& keep,
                     PendingWeightGradients& pending) const;

 private:
  Precision precision_;
  Linear gate_up_, down_;
};

}  // namespace fathom
