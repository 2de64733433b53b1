#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/adapters.h"
#include "tensor/stored_tensor.h"

namespace fathom {

inline constexpr const char* kAdapterConfigFile = "adapter_config.json";
inline constexpr const char* kAdapterWeightsFile = "adapter_model.safetensors";

// Of what kind a store's adapters are, and of which model: what PEFT wants to know of them.
struct AdapterDescription {
  AdapterOptions options;
  std::filesystem::path base;
};

// Writes the adapters of a store as PEFT has them: adapter_config.json, and
// adapter_model.safetensors with base_model.model.NAME.lora_A.weight [rank, in] and .lora_B.weight
// [out, rank], f32. The directory exists.
void SaveAdapter(const std::filesystem::path& directory, const ModelConfig& config,
                 const ParameterStore& store, const AdapterDescription& description);

// An adapter as PEFT saves it: of type LORA, on matrices, without biases, magnitudes (DoRA), whole
// modules or ranks of their own; Error that names file and field for anything else.
class AdapterDirectory {
 public:
  explicit AdapterDirectory(const std::filesystem::path& directory);

  struct Matrices {
    std::unique_ptr<StoredTensor> a, b;  // [rank, in], [out, rank]
  };
  // By the name of the weight that they change.
  const std::map<std::string, Matrices, std::less<>>& matrices() const { return matrices_; }
  double scale() const { return scale_; }

  // Throws Error when the model lacks a matrix that has an adapter here or has it in another shape,
  // or has a target without one.
  void Check(const ModelConfig& config, const ParameterStore& store) const;
  // After the same checks, gives the store's matrices these adapters; they are not to be trained.
  void AddTo(const ModelConfig& config, ParameterStore& store) const;
  // Copies the values into adapters that the store has already, and marks it as changed. Throws
  // Error when they are not the same ones.
  void ReadInto(ParameterStore& store) const;

 private:
  void ReadConfig(const std::filesystem::path& path);
  void ReadWeights();

  SafetensorsFile file_;
  std::map<std::string, Matrices, std::less<>> matrices_;
  std::vector<std::string> targets_;  // modules that have to be there; empty: unknown
  std::string config_path_;
  int64_t rank_ = 0;
  double scale_ = 0;
};

}  // namespace fathom
