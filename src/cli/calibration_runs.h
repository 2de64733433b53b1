#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/common.h"
#include "infer/benchmark.h"
#include "infer/inference_memory.h"
#include "plan/machine_model.h"
#include "train/run_setup.h"

namespace fathom {

// A small model that is measured.
struct CalibrationShape {
  const char* name;
  int64_t hidden, layers, heads, experts, used, width, vocabulary;
};

// One setting of a bench or a training step. count: prompt tokens, tokens generated, or rows of
// `depth` tokens; batch: sequences that decode.
struct CalibrationSetting {
  MachineWork::Kind kind;
  int64_t depth, count, batch;
};

// What a setting took.
struct MeasuredRun {
  std::string name;
  MachineWork work;
  double tokens = 0;
  Seconds time;  // the median of its repetitions
};

// One shape in one precision: runs it, and says what memory that takes.
class CalibrationModel {
 public:
  CalibrationModel(const CalibrationShape& shape, bool bf16, Device& device);

  const ModelConfig& config() const { return config_; }
  // Weights, the same for both precisions of a shape.
  std::unique_ptr<ParameterStore> NewStore();
  // memory: what the runs took beside what was planned, unless it is null. Throws Error when the
  // user interrupts.
  std::vector<MeasuredRun> Run(const std::vector<CalibrationSetting>& settings,
                               ParameterStore& store, std::vector<CalibratedMemory>* memory);
  // What a process takes for a setting, beside what it takes for doing nothing; without `measured`.
  CalibratedMemory PlanProcess(const CalibrationSetting& setting);

 private:
  std::string NameOf(const std::string& what) const;
  Precision precision() const { return bf16_ ? Precision::BF16() : Precision::F32(); }
  RunConfig RunOf(const CalibrationSetting& setting) const;
  InferenceMemory PlanOf(const BenchmarkCase& measured, ParameterStore& store) const;
  MeasuredRun Infer(const CalibrationSetting& setting, const Transformer& transformer,
                    std::vector<CalibratedMemory>* memory);
  MeasuredRun Train(const CalibrationSetting& setting, ParameterStore& store,
                    std::vector<CalibratedMemory>* memory);

  CalibrationShape shape_;
  bool bf16_;
  Device& device_;
  ModelConfig config_;
};

}  // namespace fathom
