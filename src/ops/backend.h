#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ops/attention_args.h"
#include "ops/context.h"
#include "ops/matrix_rows.h"
#include "ops/optimizer_args.h"
#include "ops/packed_matrix.h"
#include "ops/rope_layout.h"
#include "ops/routing.h"
#include "tensor/stored_tensor.h"
#include "tensor/tensor.h"

namespace fathom {

// C [m, n] = A [m, k] B[n, k]^T, or C += that when `accumulate` is set. Where B is quantised (E4M3,
// scales of 128 x 128 squares), A is too (scales of 1 x 128 tiles): it comes so, or is rounded on
// the way, to B's type. kE4M3Tensor: one scale for all of the stack that B was packed from, and one
// for all of A. Where B is block-coded, A is rounded to integers of 8 bits on the way.
struct MatmulProblem {
  MatrixRows a;
  const PackedMatrix* b = nullptr;
  Tensor c;
  bool accumulate = false;
};

// dW [n, k] += dY [tokens, n]^T X [tokens, k]. With `fp8` both are rounded to E4M3 first, a scale
// for every 128 tokens (from the problem's first) of a column, scales powers of two: the one place
// where what was quantised along its rows is quantised again along tokens. With `per_tensor` there
// is one scale for all of dY, and one for all of X (quantised with one scale: of all that has it).
struct WeightGradientProblem {
  MatrixRows dy;
  MatrixRows x;
  Tensor dw;
  bool fp8 = false, per_tensor = false;
};

// Everything that a device has to be able to compute, forward and backward side by side. A backend
// that lacks one does not compile.
//
// Types. The reference backend takes f64, f32 and bf16 anywhere and computes in double. A device
// backend takes activations ("act") in f32 or bf16, computes in f32 and rounds once when it stores;
// what is marked f32 below is f32 there and f64 in an all-double run on the reference. Tensors are
// [rows, columns] with contiguous columns unless it says otherwise; rows may be strided. Outputs do
// not overlap inputs unless it says "in place".
//
// Assign or accumulate. Activations and their gradients are assigned; gradients of parameters
// accumulate (+=), and so does what is written "+=" below.
//
// Determinism (the numerics contract, docs/architecture.md): the value of an output depends on its
// own inputs and on absolute positions, not on the other rows, on the number of threads, or on
// timing.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  // FLOP/s (two a multiply-add) of matrix products in `dtype` with all operands in the nearest
  // memory, on all threads of the pool: what utilisation is measured against. Takes some 100 ms.
  // Of block-coded types: with activations as integers.
  virtual double MeasurePeakFlops(Context& context, DType dtype) = 0;
  // Bytes a second that all threads of the pool together read from memory, from far more of it than
  // caches hold. Takes some 100 ms.
  virtual double MeasureReadBandwidth(Context& context) = 0;

  // ---- Memory

  virtual Allocator& allocator() = 0;
  // Whole tensors, contiguous on both sides and of the same type, between the host and this
  // backend's memory.
  virtual void CopyFromHost(ConstTensor host, Tensor y) = 0;
  virtual void CopyToHost(ConstTensor x, Tensor host) = 0;
  // y = rows [begin, begin + rows of y) of a tensor in a file, decoded (StoredTensor::Read); y
  // contiguous, f64, f32 or bf16.
  virtual void LoadRows(Context& context, const StoredTensor& x, int64_t begin, Tensor y) = 0;

  // ---- Element-wise

  // y = 0.
  virtual void Zero(Context& context, Tensor y) = 0;
  // y = x, rounded to y's type; same shape, of any rank; any strides on both sides, 0 in x too (a
  // broadcast). Matrices between f32 or act and a quantised type: tensor/quantize.h; the tensor of
  // kE4M3Tensor is x.
  virtual void Cast(Context& context, ConstTensor x, Tensor y) = 0;
  // y += x; same shape, rank 1 or 2; types may differ; the sum is made in f32 and rounded to y's
  // type.
  virtual void Add(Context& context, ConstTensor x, Tensor y) = 0;
  // y += t (x - y), one multiply-add in f32; x and y f32, contiguous. Exponential moving averages:
  // t = 1 - decay.
  virtual void Lerp(Context& context, ConstTensor x, double t, Tensor y) = 0;

  // ---- Rows by index

  // y[r] = x[index[r]]; index i32 [rows], every entry in [0, rows of x). Embedding look-up, and
  // dispatch to experts. Quantised rows go to rows of the same type.
  virtual void GatherRows(Context& context, ConstTensor x, ConstTensor index, Tensor y) = 0;
  // The same out of a tensor in a file, decoded (StoredTensor::Read); y f64, f32 or bf16.
  virtual void GatherStoredRows(Context& context, const StoredTensor& x, ConstTensor index,
                                Tensor y) = 0;
  // dtable[ids[r]] += dy[r], rows in ascending order; dtable f32.
  virtual void EmbeddingBackward(Context& context, ConstTensor ids, ConstTensor dy,
                                 Tensor dtable) = 0;

  // ---- RMSNorm (Zhang and Sennrich, arXiv 1910.07467)

  // r = 1 / sqrt(mean_j x_j^2 + eps);  y_j = x_j r g_j.  x, y: f32 or act [rows, d]; gain f32 or
  // bf16 [d]; inv_rms f32 [rows], may be empty.
  virtual void RmsNorm(Context& context, ConstTensor x, ConstTensor gain, double eps, Tensor y,
                       Tensor inv_rms) = 0;
  // dx (+)= r (g dy) - x r^3 mean_j(g_j dy_j x_j).  dx f32 or act; += when `accumulate`.
  virtual void RmsNormBackwardInput(Context& context, ConstTensor dy, ConstTensor x,
                                    ConstTensor gain, ConstTensor inv_rms, bool accumulate,
                                    Tensor dx) = 0;
  // dgain_j += sum_rows dy_j x_j r, over fixed blocks of 64 rows, blocks in ascending order; dgain
  // f32.
  virtual void RmsNormBackwardWeight(Context& context, ConstTensor dy, ConstTensor x,
                                     ConstTensor inv_rms, Tensor dgain) = 0;

  // ---- Matrix products

  // Bytes that a packed [n, k] takes in this backend.
  virtual size_t PackedBytes(DType dtype, int64_t n, int64_t k) const = 0;
  // Fills packed (data, bytes, dtype, n and k are set) with the matrix made of `parts`, stacked
  // along their rows: parts [n_i, k] with sum n_i = n. With `transposed` the result is the
  // transpose of the stack: parts [k_i, n] with sum k_i = k. Parts in memory are f64, f32 or bf16
  // and may be strided. Rounded to packed.dtype; E4M3 with one scale a square of 128 x 128 of the
  // stack, the same for both directions. Where all parts are in files and have codes of
  // packed.dtype (StoredTensor::Coded), these are kept as they are; a block-coded dtype asks for
  // that.
  virtual void Pack(Context& context, std::span<const WeightPart> parts, bool transposed,
                    const PackedMatrix& packed) = 0;
  // All the problems, as one piece of parallel work: a linear layer, one matrix per expert over its
  // rows, one per head. Every C[i, j] is one sum over ascending k in f32 (bf16 pairs 2i, 2i + 1 as
  // the hardware's dot product adds them), rounded once, after C is added when accumulating. A is
  // f32 or bf16; it is converted to B's type first when that differs. C is f32 or bf16. m = 0 is
  // allowed.
  //
  // Quantised: with a, b the codes' values and s their scales, C = sum over blocks of 128 of k of
  // (s_a s_b) sum_k a_k b_k: the inner sums in f32 as for bf16 (codes are exact in it), the outer
  // one in f32 by ascending blocks (the promotion of the V3 report, section 3.3.2).
  //
  // Block-coded: A is rounded to integers with a scale s_a for every 32 or 256 of k
  // (tensor/quantize.h). What a block adds is an exact sum of integers, times (s_a d) in one fused
  // multiply-add, by ascending blocks; the minima of Q4_K are a second such sum, times (s_a m),
  // taken away after it. The same bits on every instruction set. From the product with the decoded
  // weights this differs by A's rounding alone: less than 2 % in the norm (asserted in tests).
  virtual void Matmul(Context& context, std::span<const MatmulProblem> problems) = 0;
  // Sums over tokens run in fixed blocks of kWeightGradientBlock tokens from the problem's first
  // row, each block a sequential sum in f32 (with fp8, of tiles as in Matmul) that is then added to
  // dW. dy and x act (the same type), with fp8 x may be quantised; dw f32.
  virtual void MatmulBackwardWeight(Context& context,
                                    std::span<const WeightGradientProblem> problems) = 0;
  static constexpr int64_t kWeightGradientBlock = 512;
  // Of y = x W^T + b (the bias is what a product that accumulates finds in its output):
  // db_j += sum_rows dy_j, over fixed blocks of 64 rows, each a sequential sum in f32 that is then
  // added, blocks in ascending order. dy f32 or act [rows, n], db f32 [n].
  virtual void BiasBackward(Context& context, ConstTensor dy, Tensor db) = 0;

  // ---- Rotary position embedding (Su et al., arXiv 2104.09864)

  // table[t, 2j] = scale cos(positions[t] f_j), table[t, 2j + 1] = scale sin(positions[t] f_j).
  // inv_freq f64 [d / 2] on the host; positions i32 [tokens]; table f32 [tokens, d]; angles in
  // double.
  virtual void RopeTable(Context& context, ConstTensor positions, std::span<const double> inv_freq,
                         double scale, Tensor table) = 0;
  // y = x rotated: the j-th pair of elements, which `layout` says, by the table's j-th angle;
  // `inverse` rotates by minus that angle (and multiplies by the table's scale again), which is the
  // gradient. x, y act [tokens, heads, d], heads and tokens may be strided; y may be x (in place).
  virtual void Rope(Context& context, ConstTensor x, ConstTensor table, RopeLayout layout,
                    bool inverse, Tensor y) = 0;

  // ---- Attention

  // For query row t at position p, head h, with kv head h / (heads / kv_heads):
  //   out[t, h] = sum_{j <= p} softmax_j(scale q[t, h] . k[j]) v[j]
  //   lse[t, h] = ln sum_{j <= p} exp(scale q[t, h] . k[j])
  // q act [tokens, heads, d_qk]; out act [tokens, heads, d_v]; lse f32 [tokens, heads], may be
  // empty. The expanded form of latent attention has kv_heads = heads; the absorbed one has
  // kv_heads = 1, d_qk = kv_lora_rank + rope and values that are the first kv_lora_rank columns of
  // the keys. Rows of q in no sequence are left alone. Each score is one sequential sum over d_qk;
  // P V one sequential sum over the keys of a chunk (kAttentionChunk).
  virtual void Attention(Context& context, ConstTensor q,
                         std::span<const AttentionSequence> sequences, double scale, Tensor out,
                         Tensor lse) = 0;
  // Gradients for sequences that start at position 0 and whose keys are one block. dq act like q;
  // dk like the keys [rows, kv_heads, d_qk], dv like the values, both f32 or act, addressed by
  // query row (key row j of a sequence is row query_begin + j). With P recomputed from lse, D =
  // rowsum(dout * out):
  //   dV = P^T dO;  dS = P * (dO V^T - D);  dQ = scale dS K;  dK = scale dS^T Q
  // dQ over ascending key chunks; dK and dV over ascending heads of a group, within a head over
  // ascending query chunks. Rows of dq, dk and dv in no sequence are left alone.
  virtual void AttentionBackward(Context& context, ConstTensor dout, ConstTensor q,
                                 std::span<const AttentionSequence> sequences, double scale,
                                 ConstTensor out, ConstTensor lse, Tensor dq, Tensor dk,
                                 Tensor dv) = 0;

  // ---- SwiGLU (Shazeer, arXiv 2002.05202)

  // gate_up act [rows, 2 d] = (gate | up);  y = silu(gate) * up, act [rows, d].
  virtual void SwiGlu(Context& context, ConstTensor gate_up, Tensor y) = 0;
  // With s = silu(gate) * up and a row weight w (1 where row_weight is empty), for the function y =
  // w s:
  //   dgate_up = w dy * ds/d(gate | up);   y = w s again;   drow_weight = sum_j dy_j s_j
  // dy act [rows, d]; row_weight and drow_weight f32 [rows]; y act, may be empty; drow_weight may
  // be empty.
  virtual void SwiGluBackward(Context& context, ConstTensor dy, ConstTensor gate_up,
                              ConstTensor row_weight, Tensor dgate_up, Tensor y,
                              Tensor drow_weight) = 0;

  // ---- Experts

  // s = sigmoid(logits), or their softmax over the experts; a group's score is the sum of its two
  // largest s + bias (a group of one: that one), or its largest; the top_k largest s + bias within
  // the top_groups groups are chosen (ties: the lower id); their weights are s, without the bias,
  // normalised and scaled by the options. logits, scores f32 [tokens, experts]; bias f32 [experts],
  // may be empty; expert_ids i32 [tokens, top_k] ascending in a row; weights f32 [tokens, top_k].
  virtual void Route(Context& context, ConstTensor logits, ConstTensor bias,
                     const RouterOptions& options, Tensor scores, Tensor expert_ids,
                     Tensor weights) = 0;
  // The sequence-wise balance loss (V3 report, eq. 17-20) of each sequence s with T_s tokens:
  //   L_s = alpha sum_i f_i P_i
  //   f_i = experts / (top_k T_s) * (tokens that chose i),   P_i = mean_t s_ti / sum_j s_tj
  // scores f32 [tokens, experts]; expert_ids i32 [tokens, top_k]; sequence_of i32 [tokens],
  // ascending, every sequence present; balance_f f32 [sequences, experts] = alpha f_i / T_s, the
  // gradient of L_s by s_ti / sum_j s_tj; loss f32 [sequences]. Sums over ascending tokens.
  virtual void BalanceLoss(Context& context, ConstTensor scores, ConstTensor expert_ids,
                           ConstTensor sequence_of, double alpha, Tensor balance_f,
                           Tensor loss) = 0;
  // dlogits = (d weights / d logits)^T dweights + the gradient of the balance loss (balance_f and
  // sequence_of both empty: without); the choice itself has no gradient. dweights f32 [tokens,
  // top_k]; dlogits f32 [tokens, experts].
  virtual void RouteBackward(Context& context, ConstTensor dweights, ConstTensor scores,
                             ConstTensor expert_ids, const RouterOptions& options,
                             ConstTensor balance_f, ConstTensor sequence_of, Tensor dlogits) = 0;
  // Counts and orders: rows->token_of_row and row_of_slot are allocated by the caller; offsets are
  // filled in.
  virtual void SortByExpert(Context& context, ConstTensor expert_ids, int64_t experts,
                            ExpertRows* rows) = 0;
  // row_values[row_of_slot[t, i]] = slot_values[t, i], or the reverse with `to_slots`; f32. Weights
  // to rows and back.
  virtual void PermuteSlots(Context& context, const ExpertRows& rows, bool to_slots,
                            ConstTensor from, Tensor to) = 0;
  // x[t] += sum_i weights[t, i] y[row_of_slot[t, i]] over ascending i, then + shared[t]; sums in
  // f32, one rounding into x. y f32 or act [tokens * top_k, d]; weights f32, empty: all 1 (the
  // backward of the dispatch); shared may be empty.
  virtual void CombineExperts(Context& context, ConstTensor y, const ExpertRows& rows,
                              ConstTensor weights, ConstTensor shared, Tensor x) = 0;

  // ---- Probabilities

  // z = logits / temperature;  lse[r] = ln sum_j exp z_j;  logprob[r] = z[target] - lse, 0 where
  // target < 0. Sums over fixed blocks of 4096 ids in ascending order: the one definition of a
  // log-probability, for sampler, scorer and trainer. logits f32 [rows, vocabulary]; targets i32
  // [rows]; logprob, lse f32 [rows]; targets and logprob may be empty together.
  virtual void LogProb(Context& context, ConstTensor logits, double temperature,
                       ConstTensor targets, Tensor logprob, Tensor lse) = 0;
  // dlogits = dlogprob[r] (onehot(target) - softmax(z)) / temperature, 0 where target < 0. dlogits
  // f32 or act.
  virtual void LogProbBackward(Context& context, ConstTensor dlogprob, ConstTensor logits,
                               double temperature, ConstTensor targets, ConstTensor lse,
                               Tensor dlogits) = 0;
  // How far a model is from its teacher: with z = logits / temperature, t = teacher_logits /
  // temperature, p = exp(t - teacher_lse), q = exp(z - lse) (LogProb gives both lse),
  //   kl[r] = sum_j p_j ((t_j - teacher_lse) - (z_j - lse)),
  //   dlogits += weight[r] (q - p) / temperature, the gradient of weight kl; one more rounding.
  // Rows of weight 0 are left alone, their kl is 0. Sums over fixed blocks of 4096 ids in ascending
  // order. logits, teacher_logits f32 [rows, vocabulary]; weight, lse, kl f32 [rows]; dlogits f32
  // or act, may be empty.
  virtual void KlDivergence(Context& context, ConstTensor weight, ConstTensor logits,
                            ConstTensor lse, ConstTensor teacher_logits, ConstTensor teacher_lse,
                            double temperature, Tensor kl, Tensor dlogits) = 0;

  // ---- Optimiser

  virtual void AdamW(Context& context, const AdamWArgs& args) = 0;
  // Sum of squares in double, over fixed blocks of 4096 elements in ascending order; x f32,
  // contiguous. Not finite when an element is not finite.
  virtual double SumSquares(Context& context, ConstTensor x) = 0;
};

}  // namespace fathom
