#include "backend/profiling/profiling_backend.h"

#include <fmt/format.h>

#include <chrono>
#include <type_traits>

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

double BytesOf(const ConstTensor& x) { return x.empty() ? 0.0 : static_cast<double>(x.bytes()); }
double BytesOf(const MatrixRows& x) { return static_cast<double>(x.bytes()); }
template <typename... Tensors>
double Bytes(const Tensors&... tensors) {
  return (0.0 + ... + BytesOf(tensors));
}

// "512 -> 1536", or "16 of 384 -> 192" for a list whose first product has that shape.
std::string ProductShape(size_t count, int64_t k, int64_t n) {
  return count == 1 ? fmt::format("{} -> {}", k, n) : fmt::format("{} of {} -> {}", count, k, n);
}

// Pairs of a query and a key that it sees, over all heads.
double Pairs(std::span<const AttentionSequence> sequences, int64_t heads) {
  double pairs = 0;
  for (const AttentionSequence& sequence : sequences) {
    const auto count = static_cast<double>(sequence.query_count);
    pairs += count * (static_cast<double>(sequence.first_position) + (count + 1) / 2);
  }
  return pairs * static_cast<double>(heads);
}

// Of the keys and values that the queries see; values that are a view of the keys count once.
double KeyBytes(std::span<const AttentionSequence> sequences) {
  double bytes = 0;
  for (const AttentionSequence& sequence : sequences) {
    for (const KeyBlock& block : sequence.blocks) {
      bytes += Bytes(block.keys);
      if (block.values.raw() != block.keys.raw()) bytes += Bytes(block.values);
    }
  }
  return bytes;
}

std::string AttentionShape(const ConstTensor& q, const ConstTensor& out) {
  return fmt::format("{} heads, {} | {}", q.dim(1), q.dim(2), out.dim(2));
}

}  // namespace

template <typename Operation>
auto ProfilingBackend::Run(std::string_view name, Work work, Operation operation) {
  const auto start = Clock::now();
  const auto record = [&] {
    if (!recording_) return;
    const std::chrono::duration<double> taken = Clock::now() - start;
    profile_.Add(name, std::move(work.shape), taken.count(), work.flops, work.bytes);
  };
  if constexpr (std::is_void_v<decltype(operation())>) {
    operation();
    record();
  } else {
    auto result = operation();
    record();
    return result;
  }
}

template <typename Operation, typename... Tensors>
auto ProfilingBackend::RunOver(std::string_view name, Operation operation,
                               const Tensors&... tensors) {
  return Run(name, {.bytes = Bytes(tensors...)}, operation);
}

// Measurements are not a part of what is profiled.
double ProfilingBackend::MeasurePeakFlops(Context& context, DType dtype) {
  return device_.MeasurePeakFlops(context, dtype);
}

double ProfilingBackend::MeasureReadBandwidth(Context& context) {
  return device_.MeasureReadBandwidth(context);
}

void ProfilingBackend::CopyFromHost(ConstTensor host, Tensor y) {
  RunOver(
      "CopyFromHost", [&] { device_.CopyFromHost(host, y); }, host, y);
}
void ProfilingBackend::CopyToHost(ConstTensor x, Tensor host) {
  RunOver(
      "CopyToHost", [&] { device_.CopyToHost(x, host); }, x, host);
}
void ProfilingBackend::LoadRows(Context& context, const StoredTensor& x, int64_t begin, Tensor y) {
  RunOver(
      "LoadRows", [&] { device_.LoadRows(context, x, begin, y); }, y);
}

void ProfilingBackend::Zero(Context& context, Tensor y) {
  RunOver(
      "Zero", [&] { device_.Zero(context, y); }, y);
}
void ProfilingBackend::Cast(Context& context, ConstTensor x, Tensor y) {
  RunOver(
      "Cast", [&] { device_.Cast(context, x, y); }, x, y);
}
void ProfilingBackend::Add(Context& context, ConstTensor x, Tensor y) {
  RunOver(
      "Add", [&] { device_.Add(context, x, y); }, x, y, y);
}
void ProfilingBackend::Lerp(Context& context, ConstTensor x, double t, Tensor y) {
  RunOver(
      "Lerp", [&] { device_.Lerp(context, x, t, y); }, x, y, y);
}

void ProfilingBackend::GatherRows(Context& context, ConstTensor x, ConstTensor index, Tensor y) {
  RunOver(
      "GatherRows", [&] { device_.GatherRows(context, x, index, y); }, y, y);
}
void ProfilingBackend::GatherStoredRows(Context& context, const StoredTensor& x, ConstTensor index,
                                        Tensor y) {
  RunOver(
      "GatherStoredRows", [&] { device_.GatherStoredRows(context, x, index, y); }, y);
}
void ProfilingBackend::EmbeddingBackward(Context& context, ConstTensor ids, ConstTensor dy,
                                         Tensor dtable) {
  RunOver(
      "EmbeddingBackward", [&] { device_.EmbeddingBackward(context, ids, dy, dtable); }, dy, dy,
      dy);
}

void ProfilingBackend::RmsNorm(Context& context, ConstTensor x, ConstTensor gain, double eps,
                               Tensor y, Tensor inv_rms) {
  RunOver(
      "RmsNorm", [&] { device_.RmsNorm(context, x, gain, eps, y, inv_rms); }, x, y);
}
void ProfilingBackend::RmsNormBackwardInput(Context& context, ConstTensor dy, ConstTensor x,
                                            ConstTensor gain, ConstTensor inv_rms, bool accumulate,
                                            Tensor dx) {
  RunOver(
      "RmsNormBackwardInput",
      [&] { device_.RmsNormBackwardInput(context, dy, x, gain, inv_rms, accumulate, dx); }, dy, x,
      dx);
}
void ProfilingBackend::RmsNormBackwardWeight(Context& context, ConstTensor dy, ConstTensor x,
                                             ConstTensor inv_rms, Tensor dgain) {
  RunOver(
      "RmsNormBackwardWeight",
      [&] { device_.RmsNormBackwardWeight(context, dy, x, inv_rms, dgain); }, dy, x);
}

void ProfilingBackend::Pack(Context& context, std::span<const WeightPart> parts, bool transposed,
                            const PackedMatrix& packed) {
  Work work{.bytes = static_cast<double>(packed.bytes)};
  for (const WeightPart& part : parts) {
    if (!part.value.empty()) work.bytes += Bytes(part.value);
  }
  Run("Pack", std::move(work), [&] { device_.Pack(context, parts, transposed, packed); });
}
void ProfilingBackend::Matmul(Context& context, std::span<const MatmulProblem> problems) {
  Work work;
  for (const MatmulProblem& problem : problems) {
    const double cells = static_cast<double>(problem.a.rows()) * static_cast<double>(problem.b->n);
    if (cells == 0) continue;
    work.flops += 2 * cells * static_cast<double>(problem.b->k);
    work.bytes += Bytes(problem.a, problem.c) + static_cast<double>(problem.b->bytes);
  }
  if (!problems.empty())
    work.shape = ProductShape(problems.size(), problems[0].b->k, problems[0].b->n);
  Run("Matmul", std::move(work), [&] { device_.Matmul(context, problems); });
}
void ProfilingBackend::MatmulBackwardWeight(Context& context,
                                            std::span<const WeightGradientProblem> problems) {
  Work work;
  for (const WeightGradientProblem& problem : problems) {
    if (problem.x.rows() == 0) continue;
    work.flops +=
        2 * static_cast<double>(problem.x.rows()) * static_cast<double>(problem.dw.elements());
    work.bytes += Bytes(problem.dy, problem.x, problem.dw, problem.dw);
  }
  if (!problems.empty())
    work.shape = ProductShape(problems.size(), problems[0].dw.dim(1), problems[0].dw.dim(0));
  Run("MatmulBackwardWeight", std::move(work),
      [&] { device_.MatmulBackwardWeight(context, problems); });
}
void ProfilingBackend::BiasBackward(Context& context, ConstTensor dy, Tensor db) {
  RunOver(
      "BiasBackward", [&] { device_.BiasBackward(context, dy, db); }, dy);
}

void ProfilingBackend::RopeTable(Context& context, ConstTensor positions,
                                 std::span<const double> inv_freq, double scale, Tensor table) {
  RunOver(
      "RopeTable", [&] { device_.RopeTable(context, positions, inv_freq, scale, table); }, table);
}
void ProfilingBackend::Rope(Context& context, ConstTensor x, ConstTensor table, RopeLayout layout,
                            bool inverse, Tensor y) {
  RunOver(
      "Rope", [&] { device_.Rope(context, x, table, layout, inverse, y); }, x, y);
}

void ProfilingBackend::Attention(Context& context, ConstTensor q,
                                 std::span<const AttentionSequence> sequences, double scale,
                                 Tensor out, Tensor lse) {
  Run("Attention",
      {.shape = AttentionShape(q, out),
       .flops = 2 * Pairs(sequences, q.dim(1)) * static_cast<double>(q.dim(2) + out.dim(2)),
       .bytes = Bytes(q, out) + KeyBytes(sequences)},
      [&] { device_.Attention(context, q, sequences, scale, out, lse); });
}
void ProfilingBackend::AttentionBackward(Context& context, ConstTensor dout, ConstTensor q,
                                         std::span<const AttentionSequence> sequences, double scale,
                                         ConstTensor out, ConstTensor lse, Tensor dq, Tensor dk,
                                         Tensor dv) {
  // Scores again, dQ and dK over d_qk; dP and dV over d_v.
  Run("AttentionBackward",
      {.shape = AttentionShape(q, out),
       .flops = 2 * Pairs(sequences, q.dim(1)) * static_cast<double>(3 * q.dim(2) + 2 * out.dim(2)),
       .bytes = Bytes(dout, q, out, dq, dk, dv) + KeyBytes(sequences)},
      [&] { device_.AttentionBackward(context, dout, q, sequences, scale, out, lse, dq, dk, dv); });
}

void ProfilingBackend::SwiGlu(Context& context, ConstTensor gate_up, Tensor y) {
  RunOver(
      "SwiGlu", [&] { device_.SwiGlu(context, gate_up, y); }, gate_up, y);
}
void ProfilingBackend::SwiGluBackward(Context& context, ConstTensor dy, ConstTensor gate_up,
                                      ConstTensor row_weight, Tensor dgate_up, Tensor y,
                                      Tensor drow_weight) {
  RunOver(
      "SwiGluBackward",
      [&] { device_.SwiGluBackward(context, dy, gate_up, row_weight, dgate_up, y, drow_weight); },
      dy, gate_up, dgate_up, y);
}

void ProfilingBackend::Route(Context& context, ConstTensor logits, ConstTensor bias,
                             const RouterOptions& options, Tensor scores, Tensor expert_ids,
                             Tensor weights) {
  RunOver(
      "Route", [&] { device_.Route(context, logits, bias, options, scores, expert_ids, weights); },
      logits, scores, expert_ids, weights);
}
void ProfilingBackend::BalanceLoss(Context& context, ConstTensor scores, ConstTensor expert_ids,
                                   ConstTensor sequence_of, double alpha, Tensor balance_f,
                                   Tensor loss) {
  RunOver(
      "BalanceLoss",
      [&] {
        device_.BalanceLoss(context, scores, expert_ids, sequence_of, alpha, balance_f, loss);
      },
      scores, expert_ids);
}
void ProfilingBackend::RouteBackward(Context& context, ConstTensor dweights, ConstTensor scores,
                                     ConstTensor expert_ids, const RouterOptions& options,
                                     ConstTensor balance_f, ConstTensor sequence_of,
                                     Tensor dlogits) {
  RunOver(
      "RouteBackward",
      [&] {
        device_.RouteBackward(context, dweights, scores, expert_ids, options, balance_f,
                              sequence_of, dlogits);
      },
      dweights, scores, expert_ids, dlogits);
}
void ProfilingBackend::SortByExpert(Context& context, ConstTensor expert_ids, int64_t experts,
                                    ExpertRows* rows) {
  RunOver(
      "SortByExpert", [&] { device_.SortByExpert(context, expert_ids, experts, rows); }, expert_ids,
      expert_ids, expert_ids);
}
void ProfilingBackend::PermuteSlots(Context& context, const ExpertRows& rows, bool to_slots,
                                    ConstTensor from, Tensor to) {
  RunOver(
      "PermuteSlots", [&] { device_.PermuteSlots(context, rows, to_slots, from, to); }, from, to);
}
void ProfilingBackend::CombineExperts(Context& context, ConstTensor y, const ExpertRows& rows,
                                      ConstTensor weights, ConstTensor shared, Tensor x) {
  RunOver(
      "CombineExperts", [&] { device_.CombineExperts(context, y, rows, weights, shared, x); }, y,
      shared, x, x);
}

void ProfilingBackend::LogProb(Context& context, ConstTensor logits, double temperature,
                               ConstTensor targets, Tensor logprob, Tensor lse) {
  RunOver(
      "LogProb", [&] { device_.LogProb(context, logits, temperature, targets, logprob, lse); },
      logits);
}
void ProfilingBackend::LogProbBackward(Context& context, ConstTensor dlogprob, ConstTensor logits,
                                       double temperature, ConstTensor targets, ConstTensor lse,
                                       Tensor dlogits) {
  RunOver(
      "LogProbBackward",
      [&] {
        device_.LogProbBackward(context, dlogprob, logits, temperature, targets, lse, dlogits);
      },
      logits, dlogits);
}

void ProfilingBackend::KlDivergence(Context& context, ConstTensor weight, ConstTensor logits,
                                    ConstTensor lse, ConstTensor teacher_logits,
                                    ConstTensor teacher_lse, double temperature, Tensor kl,
                                    Tensor dlogits) {
  RunOver(
      "KlDivergence",
      [&] {
        device_.KlDivergence(context, weight, logits, lse, teacher_logits, teacher_lse, temperature,
                             kl, dlogits);
      },
      logits, teacher_logits, dlogits);
}

void ProfilingBackend::AdamW(Context& context, const AdamWArgs& args) {
  RunOver(
      "AdamW", [&] { device_.AdamW(context, args); }, args.grad, args.param, args.param, args.m,
      args.m, args.v, args.v);
}
double ProfilingBackend::SumSquares(Context& context, ConstTensor x) {
  return RunOver(
      "SumSquares", [&] { return device_.SumSquares(context, x); }, x);
}

}  // namespace fathom
