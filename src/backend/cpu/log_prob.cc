#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/work.h"

namespace fathom {
namespace {

// Sums of exponentials run over this many ids, then over the blocks in ascending order.
constexpr int64_t kBlock = 4096;

}  // namespace

using cpu::At;
using cpu::ElementOf;

void CpuBackend::LogProb(Context& context, ConstTensor logits, double temperature,
                         ConstTensor targets, Tensor logprob, Tensor lse) {
  const int64_t rows = logits.dim(0), vocabulary = logits.dim(1);
  FATHOM_CHECK(logits.dtype() == DType::kF32 && targets.empty() == logprob.empty());
  cpu::CheckShape(lse, {rows}, "lse");
  if (!targets.empty()) {
    cpu::CheckShape(targets, {rows}, "targets");
    cpu::CheckShape(logprob, {rows}, "logprob");
  }
  const auto t = static_cast<float>(temperature);
  const int32_t* target = targets.empty() ? nullptr : targets.data<int32_t>();
  float* result = logprob.empty() ? nullptr : logprob.data<float>();
  auto* log_sum = lse.data<float>();
  cpu::ForRows(*context.pool, rows, 4 * vocabulary, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const auto* x = reinterpret_cast<const float*>(At(logits, r));
      // Division is monotonic: the largest z is that of the largest logit.
      const float max = kernels_.max(x, vocabulary) / t;
      double sum = 0;
      for (int64_t j = 0; j < vocabulary; j += kBlock) {
        sum +=
            static_cast<double>(kernels_.sum_exp(x + j, t, max, std::min(kBlock, vocabulary - j)));
      }
      const double log = static_cast<double>(max) + std::log(sum);
      log_sum[r] = static_cast<float>(log);
      if (!target) continue;
      const int64_t id = target[r];
      FATHOM_CHECK(id < vocabulary, "target {} of {}", id, vocabulary);
      result[r] = id < 0 ? 0.0f : static_cast<float>(static_cast<double>(x[id] / t) - log);
    }
  });
}

void CpuBackend::LogProbBackward(Context& context, ConstTensor dlogprob, ConstTensor logits,
                                 double temperature, ConstTensor targets, ConstTensor lse,
                                 Tensor dlogits) {
  const int64_t rows = logits.dim(0), vocabulary = logits.dim(1);
  FATHOM_CHECK(logits.dtype() == DType::kF32);
  cpu::CheckShape(dlogprob, {rows}, "dlogprob");
  cpu::CheckShape(targets, {rows}, "targets");
  cpu::CheckShape(lse, {rows}, "lse");
  cpu::CheckShape(dlogits, {rows, vocabulary}, "dlogits");
  const auto t = static_cast<float>(temperature);
  const auto* upstream = dlogprob.data<float>();
  const auto* target = targets.data<int32_t>();
  const auto* log_sum = lse.data<float>();
  const cpu::Element type = ElementOf(dlogits);
  const auto size = cpu::SizeOf(type);
  cpu::ForRows(*context.pool, rows, 4 * vocabulary, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t id = target[r];
      FATHOM_CHECK(id < vocabulary, "target {} of {}", id, vocabulary);
      std::byte* dx = At(dlogits, r);
      if (id < 0) {
        std::fill(dx, dx + vocabulary * size, std::byte{0});
        continue;
      }
      const auto* x = reinterpret_cast<const float*>(At(logits, r));
      const float scale = upstream[r] / t;
      kernels_.softmax_gradient(x, t, log_sum[r], -scale, type, dx, vocabulary);
      // The target's element again, with its one, before it is rounded.
      float p;
      kernels_.softmax_gradient(x + id, t, log_sum[r], 1.0f, cpu::Element::kF32, &p, 1);
      const float at_target = scale * (1.0f - p);
      kernels_.cast(cpu::Element::kF32, &at_target, type, dx + id * size, 1);
    }
  });
}

void CpuBackend::KlDivergence(Context& context, ConstTensor weight, ConstTensor logits,
                              ConstTensor lse, ConstTensor teacher_logits, ConstTensor teacher_lse,
                              double temperature, Tensor kl, Tensor dlogits) {
  const int64_t rows = logits.dim(0), vocabulary = logits.dim(1);
  FATHOM_CHECK(logits.dtype() == DType::kF32 && teacher_logits.dtype() == DType::kF32);
  cpu::CheckShape(weight, {rows}, "weight");
  cpu::CheckShape(lse, {rows}, "lse");
  cpu::CheckShape(teacher_logits, {rows, vocabulary}, "teacher_logits");
  cpu::CheckShape(teacher_lse, {rows}, "teacher_lse");
  cpu::CheckShape(kl, {rows}, "kl");
  if (!dlogits.empty()) cpu::CheckShape(dlogits, {rows, vocabulary}, "dlogits");
  const auto t = static_cast<float>(temperature);
  const auto* weights = weight.data<float>();
  const auto* log_sum = lse.data<float>();
  const auto* teacher_log_sum = teacher_lse.data<float>();
  auto* result = kl.data<float>();
  cpu::ForRows(*context.pool, rows, 12 * vocabulary, [&](int64_t begin, int64_t end, int) {
    std::vector<float> q(kBlock), p(kBlock), gradient(kBlock);
    for (int64_t r = begin; r < end; ++r) {
      result[r] = 0;
      if (weights[r] == 0) continue;
      const float scale = weights[r] / t;
      const auto* student = reinterpret_cast<const float*>(At(logits, r));
      const auto* teacher = reinterpret_cast<const float*>(At(teacher_logits, r));
      const float difference = log_sum[r] - teacher_log_sum[r];
      double sum = 0;
      for (int64_t j = 0; j < vocabulary; j += kBlock) {
        const int64_t count = std::min(kBlock, vocabulary - j);
        const float *z = student + j, *of_teacher = teacher + j;
        kernels_.softmax_gradient(z, t, log_sum[r], 1.0f, cpu::Element::kF32, q.data(), count);
        kernels_.softmax_gradient(of_teacher, t, teacher_log_sum[r], 1.0f, cpu::Element::kF32,
                                  p.data(), count);
        // Several sums at once, put together in a fixed order.
        constexpr int64_t kSums = 8;
        double sums[kSums] = {};
        for (int64_t i = 0; i < count; ++i) {
          const float log_ratio = of_teacher[i] / t - z[i] / t + difference;
          sums[i % kSums] += static_cast<double>(p[static_cast<size_t>(i)] * log_ratio);
        }
        for (const double part : sums) sum += part;
        if (dlogits.empty()) continue;
        const cpu::Element type = ElementOf(dlogits);
        std::byte* dx = At(dlogits, r) + j * cpu::SizeOf(type);
        kernels_.cast(type, dx, cpu::Element::kF32, gradient.data(), count);
        for (size_t i = 0; i < static_cast<size_t>(count); ++i)
          gradient[i] += scale * (q[i] - p[i]);
        kernels_.cast(cpu::Element::kF32, gradient.data(), type, dx, count);
      }
      result[r] = static_cast<float>(sum);
    }
  });
}

}  // namespace fathom
