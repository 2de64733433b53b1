#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

// The matrix products of training: every weight [n, k] of the presets nano, small and base and of
// V2-Lite, with the numbers of rows that it meets (a decoded token, a few of them, one expert's
// share of a micro-batch, a micro-batch), in the three directions.

enum class Direction {
  kForward,         // C [m, n] = X [m, k] W^T
  kInputGradient,   // C [m, k] = dY [m, n] W
  kWeightGradient,  // dW [n, k] += dY [m, n]^T X [m, k], f32
};

struct WeightShape {
  const char* model;
  const char* weight;
  int64_t n, k;
};

inline constexpr WeightShape kWeights[] = {
    {"nano", "attention down", 176, 256},
    {"nano", "query up", 192, 96},
    {"nano", "key-value up", 256, 64},
    {"nano", "attention out", 256, 128},
    {"nano", "expert gate-up", 256, 256},
    {"nano", "expert down", 256, 128},
    {"nano", "dense gate-up", 1408, 256},
    {"nano", "dense down", 256, 704},
    {"nano", "head", 4096, 256},
    {"small", "attention down", 352, 384},
    {"small", "query up", 576, 192},
    {"small", "key-value up", 768, 128},
    {"small", "attention out", 384, 384},
    {"small", "expert gate-up", 384, 384},
    {"small", "expert down", 384, 192},
    {"small", "dense gate-up", 2048, 384},
    {"small", "dense down", 384, 1024},
    {"small", "head", 8192, 384},
    {"base", "attention down", 672, 768},
    {"base", "query up", 1152, 384},
    {"base", "key-value up", 1536, 256},
    {"base", "attention out", 768, 768},
    {"base", "expert gate-up", 512, 768},
    {"base", "expert down", 768, 256},
    {"base", "dense gate-up", 4096, 768},
    {"base", "dense down", 768, 2048},
    {"base", "head", 16384, 768},
    {"v2-lite", "attention down", 3648, 2048},
    {"v2-lite", "key-value up", 4096, 512},
    {"v2-lite", "attention out", 2048, 2048},
    {"v2-lite", "expert gate-up", 2816, 2048},
    {"v2-lite", "expert down", 2048, 1408},
    {"v2-lite", "dense gate-up", 21888, 2048},
    {"v2-lite", "dense down", 2048, 10944},
};

inline constexpr int64_t kRows[] = {1, 8, 32, 128, 512, 4096};

// What takes longer than this is left out: the same weight with fewer rows stands for it.
inline constexpr double kMostFlops = 2.6e10;

struct GemmShape {
  const WeightShape* weight;
  Direction direction;
  int64_t m;

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(weight->n) *
           static_cast<double>(weight->k);
  }
};

inline std::vector<GemmShape> AllGemmShapes() {
  std::vector<GemmShape> shapes;
  for (const WeightShape& weight : kWeights) {
    for (const Direction direction :
         {Direction::kForward, Direction::kInputGradient, Direction::kWeightGradient}) {
      for (const int64_t m : kRows) {
        const GemmShape shape{&weight, direction, m};
        if (shape.flops() <= kMostFlops) shapes.push_back(shape);
      }
    }
  }
  return shapes;
}

}  // namespace fathom
