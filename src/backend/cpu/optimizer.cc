#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/work.h"

namespace fathom {

using cpu::Element;
using cpu::ElementOf;

void CpuBackend::AdamW(Context& context, const AdamWArgs& args) {
  const int64_t n = args.param.elements();
  for (const ConstTensor* tensor :
       {static_cast<const ConstTensor*>(&args.param), &args.grad,
        static_cast<const ConstTensor*>(&args.m), static_cast<const ConstTensor*>(&args.v)}) {
    FATHOM_CHECK(tensor->contiguous() && tensor->elements() == n, "{} beside {} elements",
                 tensor->shape().ToString(), n);
  }
  auto* param = args.param.data<float>();
  const auto* grad = args.grad.data<float>();
  const Element m_type = ElementOf(args.m), v_type = ElementOf(args.v);
  context.pool->ParallelFor(n, cpu::kGrainElements, [&](int64_t begin, int64_t end, int) {
    cpu::AdamWKernelArgs kernel;
    kernel.param = param + begin;
    kernel.grad = grad + begin;
    kernel.m = static_cast<std::byte*>(args.m.raw()) + begin * cpu::SizeOf(m_type);
    kernel.v = static_cast<std::byte*>(args.v.raw()) + begin * cpu::SizeOf(v_type);
    kernel.m_type = m_type;
    kernel.v_type = v_type;
    kernel.n = end - begin;
    kernel.beta1 = static_cast<float>(args.beta1);
    kernel.one_beta1 = static_cast<float>(1 - args.beta1);
    kernel.beta2 = static_cast<float>(args.beta2);
    kernel.one_beta2 = static_cast<float>(1 - args.beta2);
    kernel.decay = static_cast<float>(1 - args.lr * args.weight_decay);
    kernel.step = static_cast<float>(args.lr / args.bias1);
    kernel.inv_bias2 = static_cast<float>(1 / args.bias2);
    kernel.eps = static_cast<float>(args.eps);
    kernel.grad_scale = static_cast<float>(args.grad_scale);
    kernels_.adamw(kernel);
  });
}

double CpuBackend::SumSquares(Context& context, ConstTensor x) {
  constexpr int64_t kBlock = 4096;
  FATHOM_CHECK(x.contiguous());
  const auto* data = x.data<float>();
  const int64_t n = x.elements(), blocks = (n + kBlock - 1) / kBlock;
  ArenaScope scope(*context.workspace);
  auto* sums = static_cast<double*>(
      context.workspace->NewBytes(static_cast<size_t>(blocks) * sizeof(double)));
  cpu::ForRows(*context.pool, blocks, kBlock, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      sums[b] = kernels_.sum_squares(data + b * kBlock, std::min(kBlock, n - b * kBlock));
    }
  });
  double total = 0;
  for (int64_t b = 0; b < blocks; ++b) total += sums[b];
  return total;
}

}  // namespace fathom
