#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/thread_pool.h"
#include "model/config.h"
#include "tensor/arena.h"
#include "tensor/stored_tensor.h"
#include "tensor/tensor.h"

namespace fathom {

enum class ParameterKind : uint8_t {
  kMatrix,      // initialised normal(0, initializer_range); decays
  kNormGain,    // initialised to 1; does not decay
  kBias,        // initialised to 0; does not decay
  kRouterBias,  // e_score_correction_bias: starts at 0, moved by load balancing, never by a
                // gradient
};

// One tensor of the checkpoint, under its Hugging Face name.
struct ParameterSpec {
  std::string name;
  Shape shape;
  ParameterKind kind;
  // The part of the model it belongs to: -1 embedding, head and final norm; otherwise the layer (an
  // MTP module is layer num_hidden_layers + k).
  int64_t layer;
  int64_t expert = -1;  // the routed expert it belongs to
};

// All tensors of a model in the order in which they are stored. MTP modules share the embedding and
// the head of the main model, so the copies that released checkpoints hold are not listed.
std::vector<ParameterSpec> ParameterSpecs(const ModelConfig& config);

// Active is what one token uses of the main model, without the embedding, of which it reads one
// row: the count that comes nearest to what was published (docs/economics.md).
struct ParameterCounts {
  int64_t total = 0;   // without MTP modules
  int64_t active = 0;  // without MTP modules and embedding (a tied one counts as the head)
  int64_t mtp = 0;     // of the MTP modules, without the shared embedding and head
  // Those of them that are multiplied with: without norms and biases.
  int64_t active_matmul = 0;
  // The same of the MTP modules, with the head that each of them runs once more.
  int64_t mtp_active_matmul = 0;
};
ParameterCounts CountParameters(const ModelConfig& config);

struct Parameter;

// A low-rank change of a frozen matrix W [out, in]: the model computes with W + scale B A (LoRA,
// Hu et al., arXiv 2106.09685, eq. 3).
struct Adapter {
  Parameter* a;  // [rank, in]
  Parameter* b;  // [out, rank]
  double scale;

  inline int64_t rank() const;
};

struct Parameter {
  ParameterSpec spec;
  // What is computed with: the master copy, or a view into a mapped file; empty for a matrix that
  // `stored` has in a type that is decoded when it is packed.
  ConstTensor value;
  const StoredTensor* stored = nullptr;  // as the file holds it; null in a model to be trained
  Tensor master;  // f32 (f64 in an all-double model); empty when the model is for inference only
  Tensor grad;    // the type of master; empty for inference and for router biases
  std::optional<Adapter> adapter;
  // Counts what `value` and `stored` were set to; what has no master changes in no other way.
  uint64_t settings = 0;
};

int64_t Adapter::rank() const { return a->spec.shape[0]; }

// The parameters of one model, by name and in order.
class ParameterStore {
 public:
  // A model to be trained: masters and gradients of type `dtype` in arenas of the two roles; values
  // undefined.
  ParameterStore(const ModelConfig& config, DType dtype, Allocator& allocator);
  // A model for inference, or one that adapters are trained beside: the loader sets what the values
  // are with SetStored, and SetValue where they have to be decoded first; both outlive the store.
  // allocator: of adapters.
  explicit ParameterStore(const ModelConfig& config, Allocator& allocator = HostAllocator());

  // Those of the model itself.
  const std::vector<std::unique_ptr<Parameter>>& all() const { return parameters_; }
  // A and B of every adapter, in the order in which they were added.
  const std::vector<std::unique_ptr<Parameter>>& adapters() const { return adapters_; }
  // What training changes: the parameters that have a master, adapters last.
  std::vector<Parameter*> masters() const;
  // Fatal when there is none of that name.
  Parameter& Get(std::string_view name) const;
  Parameter* Find(std::string_view name) const;
  void SetValue(std::string_view name, ConstTensor value);
  // Sets `stored`, and `value` to its view.
  void SetStored(std::string_view name, const StoredTensor& stored);

  // Gives a matrix without a master an adapter, named as PEFT names them: NAME.lora_A.weight and
  // NAME.lora_B.weight, where the matrix is NAME.weight. Masters of type `dtype`, with gradients if
  // it is to be trained; values undefined. Transformers are made after it.
  const Adapter& AddAdapter(Parameter& matrix, int64_t rank, double scale, DType dtype,
                            bool trained);

  // Gives back the pages of files that hold the tensors of a layer (ParameterSpec::layer); they
  // come in again when they are read.
  void ReleaseFiles(int64_t layer) const;

  // Goes up when values change; packed copies of another version are stale.
  uint64_t version() const { return version_; }
  void MarkChanged() { ++version_; }

  size_t weight_bytes() const { return weights_.used(); }
  size_t gradient_bytes() const { return gradients_.used(); }

 private:
  void Add(ParameterSpec spec);

  Arena weights_, gradients_;
  std::vector<std::unique_ptr<Parameter>> parameters_, adapters_;
  std::unordered_map<std::string, Parameter*> by_name_;
  uint64_t version_ = 1;
};

// The key of the random stream that a parameter's initial values come from: of the seed and its
// name.
uint64_t ParameterKey(uint64_t seed, std::string_view name);

// Fills the masters: matrices normal(0, config.initializer_range), gains 1, biases 0. A value
// depends on the seed, the tensor's name and the element's index alone. Host memory. Unless quiet,
// shows its progress.
void InitializeParameters(const ModelConfig& config, uint64_t seed, ThreadPool& pool,
                          ParameterStore& store, bool quiet = true);
// The same of one of them.
void InitializeParameter(const ModelConfig& config, uint64_t seed, ThreadPool& pool,
                         Parameter& parameter,
                         const std::function<void(int64_t elements)>& done = {});

}  // namespace fathom
