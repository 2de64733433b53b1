#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "backend/cpu/kernel_table.h"
#include "ops/backend.h"

namespace fathom {

// The instruction sets that there are kernels for. Sums may differ in their last bits between them.
enum class CpuTarget {
  kBest,    // the best that this machine has
  kAvx2,    // AVX2, FMA, F16C, BMI2
  kAvx512,  // AVX-512 F, BW, CD, DQ, VL, BF16 and VNNI
};

// Tensors in host memory, f32 or bf16, computed with vector instructions on the threads of the
// context's pool. A shape that does not fit is a programmer's mistake and aborts.
//
// Each operation splits its outputs over the threads and calls kernels (kernel_table.h), whose
// results depend on nothing but the inputs of that output.
class CpuBackend : public Backend {
 public:
  explicit CpuBackend(const cpu::KernelTable& kernels) : kernels_(kernels) {}

  std::string_view name() const override { return kernels_.name; }
  double MeasurePeakFlops(Context& context, DType dtype) override;
  double MeasureReadBandwidth(Context& context) override;

  Allocator& allocator() override { return HostAllocator(); }
  void CopyFromHost(ConstTensor host, Tensor y) override;
  void CopyToHost(ConstTensor x, Tensor host) override;
  void LoadRows(Context& context, const StoredTensor& x, int64_t begin, Tensor y) override;

  void Zero(Context& context, Tensor y) override;
  void Cast(Context& context, ConstTensor x, Tensor y) override;
  void Add(Context& context, ConstTensor x, Tensor y) override;
  void Lerp(Context& context, ConstTensor x, double t, Tensor y) override;

  void GatherRows(Context& context, ConstTensor x, ConstTensor index, Tensor y) override;
  void GatherStoredRows(Context& context, const StoredTensor& x, ConstTensor index,
                        Tensor y) override;
  void EmbeddingBackward(Context& context, ConstTensor ids, ConstTensor dy, Tensor dtable) override;

  void RmsNorm(Context& context, ConstTensor x, ConstTensor gain, double eps, Tensor y,
               Tensor inv_rms) override;
  void RmsNormBackwardInput(Context& context, ConstTensor dy, ConstTensor x, ConstTensor gain,
                            ConstTensor inv_rms, bool accumulate, Tensor dx) override;
  void RmsNormBackwardWeight(Context& context, ConstTensor dy, ConstTensor x, ConstTensor inv_rms,
                             Tensor dgain) override;

  size_t PackedBytes(DType dtype, int64_t n, int64_t k) const override;
  void Pack(Context& context, std::span<const WeightPart> parts, bool transposed,
            const PackedMatrix& packed) override;
  void Matmul(Context& context, std::span<const MatmulProblem> problems) override;
  void MatmulBackwardWeight(Context& context,
                            std::span<const WeightGradientProblem> problems) override;
  void BiasBackward(Context& context, ConstTensor dy, Tensor db) override;

  void RopeTable(Context& context, ConstTensor positions, std::span<const double> inv_freq,
                 double scale, Tensor table) override;
  void Rope(Context& context, ConstTensor x, ConstTensor table, RopeLayout layout, bool inverse,
            Tensor y) override;

  void Attention(Context& context, ConstTensor q, std::span<const AttentionSequence> sequences,
                 double scale, Tensor out, Tensor lse) override;
  void AttentionBackward(Context& context, ConstTensor dout, ConstTensor q,
                         std::span<const AttentionSequence> sequences, double scale,
                         ConstTensor out, ConstTensor lse, Tensor dq, Tensor dk,
                         Tensor dv) override;

  void SwiGlu(Context& context, ConstTensor gate_up, Tensor y) override;
  void SwiGluBackward(Context& context, ConstTensor dy, ConstTensor gate_up, ConstTensor row_weight,
                      Tensor dgate_up, Tensor y, Tensor drow_weight) override;

  void Route(Context& context, ConstTensor logits, ConstTensor bias, const RouterOptions& options,
             Tensor scores, Tensor expert_ids, Tensor weights) override;
  void BalanceLoss(Context& context, ConstTensor scores, ConstTensor expert_ids,
                   ConstTensor sequence_of, double alpha, Tensor balance_f, Tensor loss) override;
  void RouteBackward(Context& context, ConstTensor dweights, ConstTensor scores,
                     ConstTensor expert_ids, const RouterOptions& options, ConstTensor balance_f,
                     ConstTensor sequence_of, Tensor dlogits) override;
  void SortByExpert(Context& context, ConstTensor expert_ids, int64_t experts,
                    ExpertRows* rows) override;
  void PermuteSlots(Context& context, const ExpertRows& rows, bool to_slots, ConstTensor from,
                    Tensor to) override;
  void CombineExperts(Context& context, ConstTensor y, const ExpertRows& rows, ConstTensor weights,
                      ConstTensor shared, Tensor x) override;

  void LogProb(Context& context, ConstTensor logits, double temperature, ConstTensor targets,
               Tensor logprob, Tensor lse) override;
  void LogProbBackward(Context& context, ConstTensor dlogprob, ConstTensor logits,
                       double temperature, ConstTensor targets, ConstTensor lse,
                       Tensor dlogits) override;
  void KlDivergence(Context& context, ConstTensor weight, ConstTensor logits, ConstTensor lse,
                    ConstTensor teacher_logits, ConstTensor teacher_lse, double temperature,
                    Tensor kl, Tensor dlogits) override;

  void AdamW(Context& context, const AdamWArgs& args) override;
  double SumSquares(Context& context, ConstTensor x) override;

 private:
  const cpu::KernelTable& kernels_;
};

// Throws Error when this machine lacks the instructions.
std::unique_ptr<Backend> CreateCpuBackend(CpuTarget target = CpuTarget::kBest);
// Whether this machine has them.
bool HasCpuTarget(CpuTarget target);

}  // namespace fathom
