#pragma once

#include "ops/backend.h"

namespace fathom {

// A backend that computes nothing: the program runs through the very code of a step and its arenas
// say what memory that takes, by role, before any of it exists. Its memory is address space without
// pages behind it, so a model of any size can be planned. What the host reads back is zero, and
// experts get equal shares of the tokens.
class PlanningBackend : public Backend {
 public:
  // `device` is the backend that is planned for: it knows how large packed weights are. Must
  // outlive this.
  explicit PlanningBackend(const Backend& device) : device_(device) {}

  std::string_view name() const override { return "planning"; }
  double MeasurePeakFlops(Context&, DType) override { return 0; }
  double MeasureReadBandwidth(Context&) override { return 0; }
  Allocator& allocator() override { return allocator_; }
  void CopyFromHost(ConstTensor, Tensor) override {}
  void CopyToHost(ConstTensor x, Tensor host) override;
  void LoadRows(Context&, const StoredTensor&, int64_t, Tensor) override {}

  void Zero(Context&, Tensor) override {}
  void Cast(Context&, ConstTensor, Tensor) override {}
  void Add(Context&, ConstTensor, Tensor) override {}
  void Lerp(Context&, ConstTensor, double, Tensor) override {}
  void GatherRows(Context&, ConstTensor, ConstTensor, Tensor) override {}
  void GatherStoredRows(Context&, const StoredTensor&, ConstTensor, Tensor) override {}
  void EmbeddingBackward(Context&, ConstTensor, ConstTensor, Tensor) override {}
  void RmsNorm(Context&, ConstTensor, ConstTensor, double, Tensor, Tensor) override {}
  void RmsNormBackwardInput(Context&, ConstTensor, ConstTensor, ConstTensor, ConstTensor, bool,
                            Tensor) override {}
  void RmsNormBackwardWeight(Context&, ConstTensor, ConstTensor, ConstTensor, Tensor) override {}
  size_t PackedBytes(DType dtype, int64_t n, int64_t k) const override {
    return device_.PackedBytes(dtype, n, k);
  }
  void Pack(Context&, std::span<const WeightPart>, bool, const PackedMatrix&) override {}
  void Matmul(Context&, std::span<const MatmulProblem>) override {}
  void MatmulBackwardWeight(Context&, std::span<const WeightGradientProblem>) override {}
  void BiasBackward(Context&, ConstTensor, Tensor) override {}
  void RopeTable(Context&, ConstTensor, std::span<const double>, double, Tensor) override {}
  void Rope(Context&, ConstTensor, ConstTensor, RopeLayout, bool, Tensor) override {}
  void Attention(Context&, ConstTensor, std::span<const AttentionSequence>, double, Tensor,
                 Tensor) override {}
  void AttentionBackward(Context&, ConstTensor, ConstTensor, std::span<const AttentionSequence>,
                         double, ConstTensor, ConstTensor, Tensor, Tensor, Tensor) override {}
  void SwiGlu(Context&, ConstTensor, Tensor) override {}
  void SwiGluBackward(Context&, ConstTensor, ConstTensor, ConstTensor, Tensor, Tensor,
                      Tensor) override {}
  void Route(Context&, ConstTensor, ConstTensor, const RouterOptions&, Tensor, Tensor,
             Tensor) override {}
  void BalanceLoss(Context&, ConstTensor, ConstTensor, ConstTensor, double, Tensor,
                   Tensor) override {}
  void RouteBackward(Context&, ConstTensor, ConstTensor, ConstTensor, const RouterOptions&,
                     ConstTensor, ConstTensor, Tensor) override {}
  void SortByExpert(Context&, ConstTensor expert_ids, int64_t experts, ExpertRows* rows) override;
  void PermuteSlots(Context&, const ExpertRows&, bool, ConstTensor, Tensor) override {}
  void CombineExperts(Context&, ConstTensor, const ExpertRows&, ConstTensor, ConstTensor,
                      Tensor) override {}
  void LogProb(Context&, ConstTensor, double, ConstTensor, Tensor, Tensor) override {}
  void LogProbBackward(Context&, ConstTensor, ConstTensor, double, ConstTensor, ConstTensor,
                       Tensor) override {}
  void KlDivergence(Context&, ConstTensor, ConstTensor, ConstTensor, ConstTensor, ConstTensor,
                    double, Tensor, Tensor) override {}
  void AdamW(Context&, const AdamWArgs&) override {}
  double SumSquares(Context&, ConstTensor) override { return 0; }

 private:
  // Address space only; touching it is fatal.
  class Reservation : public Allocator {
   public:
    void* Allocate(size_t bytes) override;
    void Free(void* data, size_t bytes) override;
  };

  const Backend& device_;
  Reservation allocator_;
};

}  // namespace fathom
