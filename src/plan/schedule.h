#pragma once

#include <cstdint>
#include <string_view>

#include "plan/units.h"

namespace fathom {

enum class Schedule : uint8_t { k1F1B, kInterleaved, kZb1p, kDualPipe, kDualPipeV };
std::string_view Name(Schedule schedule);
// "1f1b", "interleaved", "zb1p", "dualpipe", "dualpipev"; throws UsageError for another name.
Schedule ScheduleNamed(std::string_view name);

// Times of one chunk (a stage's layers, one micro-batch).
struct ChunkTimes {
  Seconds forward;
  Seconds backward;         // input and weight gradients together
  Seconds backward_weight;  // the part of it that is the weights'
  Seconds overlapped;       // a forward and a backward that run into each other
};

// Idle time of a step on `stages` pipeline stages (README of deepseek-ai/DualPipe):
//   1F1B (P-1)(F+B); ZB1P (P-1)(F+B-2W); DualPipe and DualPipeV (P/2-1)(F&B+B-3W), never less than
//   0.
// DualPipeV's P counts stages: it needs P/2 devices. Interleaved 1F1B gives each device
// `virtual_stages` chunks of layers: (P-1)(F+B) / v (Narayanan et al., arXiv 2104.04473).
Seconds Bubble(Schedule schedule, int64_t stages, const ChunkTimes& chunk,
               int64_t virtual_stages = 1);

// How often a device holds its parameters, and for how many micro-batches it keeps activations:
// P; P + 1 with DualPipe; P (1 + (P-1) / (P v)) interleaved (Korthikanti et al., arXiv 2205.05198).
int64_t ParameterCopies(Schedule schedule);
double MicroBatchesInFlight(Schedule schedule, int64_t stages, int64_t micro_batches,
                            int64_t virtual_stages = 1);
// Whether forward and backward chunks of different micro-batches hide each other's communication.
bool OverlapsCommunication(Schedule schedule);

}  // namespace fathom
