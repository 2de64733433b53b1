#pragma once

// The table of this instruction set.

#include "backend/cpu/attention-inl.h"
#include "backend/cpu/elementwise-inl.h"
#include "backend/cpu/fp8-inl.h"
#include "backend/cpu/gemm-inl.h"
#include "backend/cpu/pack-inl.h"
#include "backend/cpu/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

constexpr KernelTable MakeTable(const char* name, const CodedKernels* coded) {
  return {.name = name,
          .coded = coded,
          .panel = kPanel,
          .strip_f32 = kStrip<Element::kF32>,
          .strip_bf16 = kStrip<Element::kBF16>,
          .strip_few = kPairedRows,
          .pack_row_panels = &PackRowPanels,
          .pack_row_strips = &PackRowStrips,
          .pack_column_panels = &PackColumnPanels,
          .pack_column_strips = &PackColumnStrips,
          .multiply = &Multiply,
          .quantize_row = &QuantizeRow,
          .dequantize_row = &DequantizeRow,
          .decode_codes = &DecodeCodes,
          .encode_codes = &EncodeCodes,
          .round_row = &RoundRow,
          .round_square = &RoundSquare,
          .round_columns = &RoundColumns,
          .largest_magnitude = &LargestMagnitude,
          .cast = &Cast,
          .add = &Add,
          .lerp = &Lerp,
          .combine = &Combine,
          .rotate = &Rotate,
          .swiglu = &SwiGlu,
          .swiglu_backward = &SwiGluBackward,
          .sigmoid = &SigmoidOf,
          .exp = &ExpOf,
          .adamw = &AdamW,
          .sum_squares = &SumSquares,
          .rms_norm = &RmsNorm,
          .rms_norm_backward = &RmsNormBackward,
          .rms_norm_gain = &RmsNormGain,
          .sum_rows = &SumRows,
          .dot = &Dot,
          .max = &MaxOfRow,
          .sum_exp = &SumExp,
          .softmax_gradient = &SoftmaxGradient,
          .chunk_softmax = &ChunkSoftmax,
          .score_keys = kScoreKeys,
          .sum_values = kSumValues,
          .merge_chunk = &MergeChunk,
          .scale = &Scale,
          .softmax_backward = &SoftmaxBackward};
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
