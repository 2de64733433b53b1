#pragma once

#include <cstdint>

// Inlined wherever it is used, so that no copy made for a newer processor is shared by the linker.
#define FATHOM_ALWAYS_INLINE __attribute__((always_inline)) inline

namespace fathom::cpu {

// The kernels of one instruction set, over raw pointers, as a table that is chosen by CPUID. Their
// translation units are compiled for that instruction set, so they include nothing whose inline
// functions other units share: this header therefore holds plain structures only.
//
// No kernel starts threads or allocates; who calls them splits the work. "Element" pointers are to
// f32 or bf16. No result depends on how many rows or elements a call covers, except where a comment
// names a fixed block.

enum class Element : int32_t { kF32, kBF16 };

// Words of a row that stand together in a strip made from rows: one line of the cache.
inline constexpr int64_t kStripLine = 16;

// The quantised types, as in tensor/dtype.h.
enum class Code : int32_t { kE4M3, kE4M3Ue8m0, kE5M6 };  // kE4M3 for kE4M3Tensor too

// C [rows, columns] = A B^T over packed operands; the layouts stand at KernelTable.
struct MultiplyArgs {
  Element type = Element::kF32;  // of A and B
  const void* a = nullptr;       // strips, one after the other
  int64_t rows = 0;
  int64_t strip = 0;            // most rows of one; 0: strip_f32 or strip_bf16
  bool a_from_columns = false;  // which of the two layouts
  // Not 0: A is not packed, its rows lie so many 32-bit words apart; of bf16 the depth is even.
  int64_t a_stride = 0;
  const void* b = nullptr;  // panels, one after the other
  int64_t columns = 0;      // all of whole panels but the last
  int64_t depth = 0;
  int64_t b_depth = 0;  // that B was packed with, at least depth; 0: the same
  void* c = nullptr;
  int64_t c_stride = 0;  // in elements
  Element c_type = Element::kF32;
  bool accumulate = false;  // C += instead of C =: the finished sum is added, in f32
  // Not null: A and B are bf16 and hold codes' values, and every 128 of the depth have scales
  // (blocks are ceil(depth / 128), of b ceil(b_depth / 128)).
  const float* a_scales = nullptr;  // [rows, blocks]
  const float* b_scales = nullptr;  // [panels, blocks, panel]
};

struct RotateArgs {
  Element type = Element::kF32;
  const void* x = nullptr;
  int64_t x_stride = 0;  // between heads
  void* y = nullptr;
  int64_t y_stride = 0;
  const float* table = nullptr;  // cos, sin pairs: [d]
  int64_t heads = 0;
  int64_t d = 0;
  bool halves = false;  // pairs (j, j + d / 2), not (2j, 2j + 1)
  bool inverse = false;
};

struct SwiGluBackwardArgs {
  Element type = Element::kF32;  // of dy, gate_up, dgate_up and y
  const void* dy = nullptr;
  const void* gate_up = nullptr;
  float weight = 1;
  int64_t d = 0;
  void* dgate_up = nullptr;
  void* y = nullptr;  // may be null
};

struct AdamWKernelArgs {
  float* param = nullptr;
  const float* grad = nullptr;
  void* m = nullptr;
  void* v = nullptr;
  Element m_type = Element::kF32, v_type = Element::kF32;
  int64_t n = 0;
  // beta1, 1 - beta1, beta2, 1 - beta2; decay = 1 - lr * weight_decay; step = lr / bias1;
  // inv_bias2 = 1 / bias2.
  float beta1, one_beta1, beta2, one_beta2, decay, step, inv_bias2, eps, grad_scale;
};

// Products of few queries with key rows: what `multiply` gives with these rows packed as columns.
struct ScoreKeysArgs {
  const void* queries = nullptr;      // bf16, one panel from rows
  int64_t rows = 0;                   // at most half a panel
  const void* const* keys = nullptr;  // [count] rows, bf16
  int64_t count = 0;
  int64_t depth = 0;     // even
  float* out = nullptr;  // [rows, stride]
  int64_t stride = 0;
};

// Sums of value rows, weighted: what `multiply` gives with these rows packed as columns.
struct SumValuesArgs {
  const void* weights = nullptr;  // bf16 strips from rows of `count`, one after the other
  int64_t rows = 0;
  const void* const* values = nullptr;  // [count] rows, bf16
  int64_t count = 0;
  int64_t columns = 0;   // a multiple of 32
  float* out = nullptr;  // [rows, columns]
};

struct CodedKernels;  // coded_kernels.h

// Whether products ask for weights ahead of their use; by the processor, see the definition.
bool AsksAhead();

struct KernelTable {
  const char* name;
  const CodedKernels* coded;  // products with block-coded weights
  int64_t panel;              // columns of a packed panel
  int64_t strip_f32;          // most rows of a strip, by type
  int64_t strip_bf16;
  int64_t strip_few;  // most rows of strips that take two panels at a time

  // ---- Matrix products (gemm-inl.h, pack-inl.h)
  //
  // A strip or panel of `width` lanes over `depth` is, in f32, [depth][width]; in bf16
  // [ceil(depth / 2)][width][2], so that one 32-bit word holds two neighbours along the depth. An
  // odd last depth is padded with zero. B is cut into panels of `panel` lanes, the last padded with
  // zero lanes; A into strips of nearly equal width (Strips), without padding. This is the layout
  // of panels, and of strips made from columns. A strip made from rows takes its rows as they are:
  // [lines][width][kStripLine] words, the last line padded.
  //
  // rows[i], i < count, points to `depth` elements: lane i.
  void (*pack_row_panels)(Element from, Element to, const void* const* rows, int64_t count,
                          int64_t depth, void* out);
  void (*pack_row_strips)(Element from, Element to, const void* const* rows, int64_t count,
                          int64_t depth, void* out);
  // rows[p] + first, p < depth, points to `count` elements: one of each lane.
  void (*pack_column_panels)(Element from, Element to, const void* const* rows, int64_t first,
                             int64_t depth, int64_t count, void* out);
  void (*pack_column_strips)(Element from, Element to, const void* const* rows, int64_t first,
                             int64_t depth, int64_t count, int64_t strip, void* out);
  void (*multiply)(const MultiplyArgs& args);

  // ---- FP8 (fp8-inl.h); numbers and layouts: tensor/quantize.h
  //
  // "Values" are those of E4M3 codes, without the scale, as bf16. Every scale is chosen as if its
  // tile held `at_least` too.
  void (*quantize_row)(Code code, Element x_type, const void* x, int64_t n, float at_least,
                       uint8_t* codes, float* scales);
  void (*dequantize_row)(Code code, const uint8_t* codes, const float* scales, int64_t n,
                         Element y_type, void* y);
  void (*decode_codes)(const uint8_t* codes, int64_t n, uint16_t* values);
  void (*encode_codes)(const uint16_t* values, int64_t n, uint8_t* codes);
  // The values and the scales of a row's tiles.
  void (*round_row)(Code code, Element x_type, const void* x, int64_t n, float at_least,
                    uint16_t* values, float* scales);
  // Of `count` rows from column `first`, at most 128 x 128: the values [count, 128] and their one
  // scale.
  float (*round_square)(Code code, Element x_type, const void* const* rows, int64_t first,
                        int64_t count, int64_t columns, float at_least, uint16_t* values);
  // Of at most 128 rows from column `first`: the values [count, values_stride], and each column's
  // scale, a power of two.
  void (*round_columns)(Element x_type, const void* const* rows, int64_t first, int64_t count,
                        int64_t columns, float at_least, uint16_t* values, int64_t values_stride,
                        float* scales);
  // The largest magnitude; NaN where there is one.
  float (*largest_magnitude)(Element x_type, const void* x, int64_t n);

  // ---- Element-wise (elementwise-inl.h); n elements
  void (*cast)(Element x_type, const void* x, Element y_type, void* y, int64_t n);
  void (*add)(Element x_type, const void* x, Element y_type, void* y, int64_t n);
  void (*lerp)(const float* x, float t, float* y, int64_t n);
  // x += (sum_i weights[i] rows[i]) + shared; weights null: all 1; shared may be null.
  void (*combine)(Element rows_type, const void* const* rows, const float* weights, int64_t count,
                  Element shared_type, const void* shared, Element x_type, void* x, int64_t n);
  void (*rotate)(const RotateArgs& args);
  void (*swiglu)(Element x_type, const void* gate_up, Element y_type, void* y, int64_t d);
  // Returns sum_j dy_j s_j.
  float (*swiglu_backward)(const SwiGluBackwardArgs& args);
  void (*sigmoid)(const float* x, float* y, int64_t n);
  void (*exp)(const float* x, float* y, int64_t n);
  void (*adamw)(const AdamWKernelArgs& args);
  double (*sum_squares)(const float* x, int64_t n);

  // ---- Rows (rows-inl.h); sums in a fixed tree over the lanes
  // Returns r = 1 / sqrt(mean x^2 + eps).
  float (*rms_norm)(Element x_type, const void* x, Element gain_type, const void* gain, double eps,
                    Element y_type, void* y, int64_t d);
  void (*rms_norm_backward)(Element dy_type, const void* dy, Element x_type, const void* x,
                            Element gain_type, const void* gain, float inv_rms, bool accumulate,
                            Element dx_type, void* dx, int64_t d);
  // dgain[0, columns) += sum over `rows` rows of dy x r; one block.
  void (*rms_norm_gain)(Element dy_type, const void* dy, int64_t dy_stride, Element x_type,
                        const void* x, int64_t x_stride, const float* inv_rms, int64_t rows,
                        float* dgain, int64_t columns);
  // db[0, columns) += sum over `rows` rows of dy; one block.
  void (*sum_rows)(Element dy_type, const void* dy, int64_t dy_stride, int64_t rows, float* db,
                   int64_t columns);
  float (*dot)(Element x_type, const void* x, Element y_type, const void* y, int64_t n);
  float (*max)(const float* x, int64_t n);
  // sum_j exp(x_j / temperature - max); one block.
  float (*sum_exp)(const float* x, float temperature, float max, int64_t n);
  // y_j = scale exp(x_j / temperature - lse).
  void (*softmax_gradient)(const float* x, float temperature, float lse, float scale,
                           Element y_type, void* y, int64_t n);

  // ---- Attention (attention-inl.h); one query row against the keys of one chunk
  // In place s -> p = exp(scale s - m) with m = max of scale s over the first `count`; zero from
  // count to `padded`. Sets m and the sum of p.
  void (*chunk_softmax)(float* s, float scale, int64_t count, int64_t padded, float* max,
                        float* sum);
  // Null where the instructions for them are missing.
  void (*score_keys)(const ScoreKeysArgs& args);
  void (*sum_values)(const SumValuesArgs& args);
  // Merges a chunk's (max, sum, output) into the running ones, of width n.
  void (*merge_chunk)(float chunk_max, float chunk_sum, const float* chunk, float* max, float* sum,
                      float* out, int64_t n);
  // y = x * scale.
  void (*scale)(const float* x, float scale, Element y_type, void* y, int64_t n);
  // In place, s -> p = exp(scale s - lse), dp -> ds = scale p (dp - delta); zero from count to
  // `padded`.
  void (*softmax_backward)(float* s, float* dp, float scale, float lse, float delta, int64_t count,
                           int64_t padded);
};

const KernelTable& Avx2Kernels();
const KernelTable& Avx512Kernels();

// How rows are cut into strips: as evenly as possible, of at most `most` rows.
struct Strips {
  int64_t rows, count;
  int64_t least, longer;  // rows of a strip; the first so many have one more
  static FATHOM_ALWAYS_INLINE Strips Of(int64_t rows, int64_t most) {
    const int64_t count = (rows + most - 1) / most;
    return {rows, count, count > 0 ? rows / count : 0, count > 0 ? rows % count : 0};
  }
  FATHOM_ALWAYS_INLINE int64_t Begin(int64_t strip) const {
    return strip * least + (strip < longer ? strip : longer);
  }
};

}  // namespace fathom::cpu
