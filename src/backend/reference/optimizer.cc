#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fathom {

void ReferenceBackend::AdamW(Context&, const AdamWArgs& args) {
  const Shape& shape = args.param.shape();
  CheckShape(args.grad, shape, "grad");
  CheckShape(args.m, shape, "m");
  CheckShape(args.v, shape, "v");
  const std::vector<double> grad = LoadAll(args.grad);
  std::vector<double> param = LoadAll(args.param), m = LoadAll(args.m), v = LoadAll(args.v);
  for (size_t i = 0; i < param.size(); ++i) {
    const double g = args.grad_scale * grad[i];
    m[i] = args.beta1 * m[i] + (1 - args.beta1) * g;
    v[i] = args.beta2 * v[i] + (1 - args.beta2) * g * g;
    param[i] -= args.lr * args.weight_decay * param[i];
    param[i] -= args.lr * (m[i] / args.bias1) / (std::sqrt(v[i] / args.bias2) + args.eps);
  }
  StoreAll(args.param, param);
  StoreAll(args.m, m);
  StoreAll(args.v, v);
}

double ReferenceBackend::SumSquares(Context&, ConstTensor x) {
  double sum = 0;
  for (const double value : LoadAll(x)) sum += value * value;
  return sum;
}

}  // namespace fathom
