#include "model/parameters.h"

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"

namespace fathom {
namespace {

// Appends the tensors of one decoder layer (attention, norms, MLP or experts).
void AppendLayer(const ModelConfig& c, int64_t layer, bool moe, std::vector<ParameterSpec>& specs) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t columns,
                          int64_t expert = -1) {
    specs.push_back(
        {prefix + name + ".weight", Shape({rows, columns}), ParameterKind::kMatrix, layer, expert});
  };
  const auto gain = [&](const std::string& name, int64_t size) {
    specs.push_back({prefix + name + ".weight", Shape({size}), ParameterKind::kNormGain, layer});
  };
  const auto mlp = [&](const std::string& name, int64_t width, int64_t expert = -1) {
    matrix(name + ".gate_proj", width, c.hidden_size, expert);
    matrix(name + ".up_proj", width, c.hidden_size, expert);
    matrix(name + ".down_proj", c.hidden_size, width, expert);
  };

  gain("input_layernorm", c.hidden_size);
  if (c.latent_attention()) {
    const int64_t query_dim = c.num_attention_heads * c.qk_dim();
    if (c.q_lora_rank > 0) {
      matrix("self_attn.q_a_proj", c.q_lora_rank, c.hidden_size);
      gain("self_attn.q_a_layernorm", c.q_lora_rank);
      matrix("self_attn.q_b_proj", query_dim, c.q_lora_rank);
    } else {
      matrix("self_attn.q_proj", query_dim, c.hidden_size);
    }
    matrix("self_attn.kv_a_proj_with_mqa", c.latent_dim(), c.hidden_size);
    gain("self_attn.kv_a_layernorm", c.kv_lora_rank);
    matrix("self_attn.kv_b_proj", c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim),
           c.kv_lora_rank);
    matrix("self_attn.o_proj", c.hidden_size, c.num_attention_heads * c.v_head_dim);
  } else {
    const int64_t query_dim = c.num_attention_heads * c.head_dim;
    const int64_t kv_dim = c.num_key_value_heads * c.head_dim;
    for (const auto& [name, rows] : {std::pair{"self_attn.q_proj", query_dim},
                                     {"self_attn.k_proj", kv_dim},
                                     {"self_attn.v_proj", kv_dim}}) {
      matrix(name, rows, c.hidden_size);
      if (c.attention_bias) {
        specs.push_back(
            {fmt::format("{}{}.bias", prefix, name), Shape({rows}), ParameterKind::kBias, layer});
      }
    }
    matrix("self_attn.o_proj", c.hidden_size, query_dim);
  }
  gain("post_attention_layernorm", c.hidden_size);
  if (!moe) {
    mlp("mlp", c.intermediate_size);
    return;
  }
  matrix("mlp.gate", c.n_routed_experts, c.hidden_size);
  if (c.has_router_bias()) {
    specs.push_back({prefix + "mlp.gate.e_score_correction_bias", Shape({c.n_routed_experts}),
                     ParameterKind::kRouterBias, layer});
  }
  for (int64_t e = 0; e < c.n_routed_experts; ++e)
    mlp(fmt::format("mlp.experts.{}", e), c.moe_intermediate_size, e);
  if (c.n_shared_experts > 0)
    mlp("mlp.shared_experts", c.n_shared_experts * c.moe_intermediate_size);
}

// A stable 64-bit hash (FNV-1a): the random stream of a parameter follows from its name.
uint64_t HashName(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

std::vector<ParameterSpec> ParameterSpecs(const ModelConfig& c) {
  std::vector<ParameterSpec> specs;
  specs.push_back({"model.embed_tokens.weight", Shape({c.vocab_size, c.hidden_size}),
                   ParameterKind::kMatrix, -1});
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer)
    AppendLayer(c, layer, c.IsMoeLayer(layer), specs);
  specs.push_back({"model.norm.weight", Shape({c.hidden_size}), ParameterKind::kNormGain, -1});
  const bool scores = c.head() == ModelHead::kScore;
  if (scores || !c.tie_word_embeddings) {
    specs.push_back({std::string(c.head_parameter()),
                     Shape({scores ? c.num_labels : c.vocab_size, c.hidden_size}),
                     ParameterKind::kMatrix, -1});
  }
  for (int64_t layer = c.num_hidden_layers; layer < c.total_layers(); ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    const auto gain = [&](const char* name) {
      specs.push_back(
          {prefix + name + ".weight", Shape({c.hidden_size}), ParameterKind::kNormGain, layer});
    };
    gain("enorm");
    gain("hnorm");
    specs.push_back({prefix + "eh_proj.weight", Shape({c.hidden_size, 2 * c.hidden_size}),
                     ParameterKind::kMatrix, layer});
    AppendLayer(c, layer, c.IsMoeLayer(layer), specs);
    gain("shared_head.norm");
  }
  return specs;
}

ParameterCounts CountParameters(const ModelConfig& config) {
  ParameterCounts counts;
  for (const ParameterSpec& spec : ParameterSpecs(config)) {
    const int64_t size = spec.shape.elements();
    // A token uses num_experts_per_tok of the n_routed_experts, all of one size.
    const int64_t active = spec.expert < 0                            ? size
                           : spec.expert < config.num_experts_per_tok ? size
                                                                      : 0;
    const bool used =
        spec.name != "model.embed_tokens.weight" || spec.name == config.head_parameter();
    const bool multiplied = used && spec.kind == ParameterKind::kMatrix;
    if (spec.layer < config.num_hidden_layers) {
      counts.total += size;
      if (used) counts.active += active;
      if (multiplied) counts.active_matmul += active;
    } else {
      counts.mtp += size;
      if (multiplied) counts.mtp_active_matmul += active;
    }
  }
  counts.mtp_active_matmul +=
      config.num_nextn_predict_layers * config.vocab_size * config.hidden_size;
  return counts;
}

ParameterStore::ParameterStore(const ModelConfig& config, DType dtype, Allocator& allocator)
    : weights_(MemoryRole::kWeights, allocator), gradients_(MemoryRole::kGradients, allocator) {
  for (ParameterSpec& spec : ParameterSpecs(config)) {
    Add(std::move(spec));
    Parameter& parameter = *parameters_.back();
    parameter.master = weights_.New(dtype, parameter.spec.shape);
    parameter.value = parameter.master;
    if (parameter.spec.kind != ParameterKind::kRouterBias) {
      parameter.grad = gradients_.New(dtype, parameter.spec.shape);
    }
  }
}

ParameterStore::ParameterStore(const ModelConfig& config, Allocator& allocator)
    : weights_(MemoryRole::kWeights, allocator), gradients_(MemoryRole::kGradients, allocator) {
  for (ParameterSpec& spec : ParameterSpecs(config)) Add(std::move(spec));
}

std::vector<Parameter*> ParameterStore::masters() const {
  std::vector<Parameter*> masters;
  for (const auto* list : {&parameters_, &adapters_}) {
    for (const auto& parameter : *list) {
      if (!parameter->master.empty()) masters.push_back(parameter.get());
    }
  }
  return masters;
}

const Adapter& ParameterStore::AddAdapter(Parameter& matrix, int64_t rank, double scale,
                                          DType dtype, bool trained) {
  FATHOM_CHECK(matrix.master.empty() && !matrix.adapter && matrix.spec.shape.rank() == 2);
  const auto add = [&](const char* part, Shape shape) {
    auto parameter = std::make_unique<Parameter>();
    std::string_view module = matrix.spec.name;
    module.remove_suffix(std::string_view(".weight").size());
    parameter->spec = {fmt::format("{}.{}.weight", module, part), shape, ParameterKind::kMatrix,
                       matrix.spec.layer, matrix.spec.expert};
    parameter->master = weights_.New(dtype, shape);
    parameter->value = parameter->master;
    if (trained) parameter->grad = gradients_.New(dtype, shape);
    adapters_.push_back(std::move(parameter));
    return adapters_.back().get();
  };
  Parameter* a = add("lora_A", Shape({rank, matrix.spec.shape[1]}));
  Parameter* b = add("lora_B", Shape({matrix.spec.shape[0], rank}));
  matrix.adapter = Adapter{.a = a, .b = b, .scale = scale};
  MarkChanged();
  return *matrix.adapter;
}

void ParameterStore::Add(ParameterSpec spec) {
  auto parameter = std::make_unique<Parameter>();
  parameter->spec = std::move(spec);
  by_name_.emplace(parameter->spec.name, parameter.get());
  parameters_.push_back(std::move(parameter));
}

Parameter* ParameterStore::Find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : found->second;
}

Parameter& ParameterStore::Get(std::string_view name) const {
  Parameter* parameter = Find(name);
  FATHOM_CHECK(parameter != nullptr, "no parameter '{}'", name);
  return *parameter;
}

void ParameterStore::SetValue(std::string_view name, ConstTensor value) {
  Parameter& parameter = Get(name);
  FATHOM_CHECK(value.empty() || value.shape() == parameter.spec.shape);
  parameter.value = value;
  ++parameter.settings;
  MarkChanged();
}

void ParameterStore::SetStored(std::string_view name, const StoredTensor& stored) {
  Get(name).stored = &stored;
  SetValue(name, stored.View());
}

void ParameterStore::ReleaseFiles(int64_t layer) const {
  for (const auto& parameter : parameters_) {
    if (parameter->spec.layer == layer && parameter->stored != nullptr)
      parameter->stored->Release();
  }
}

uint64_t ParameterKey(uint64_t seed, std::string_view name) { return MixKey(seed, HashName(name)); }

void InitializeParameter(const ModelConfig& config, uint64_t seed, ThreadPool& pool,
                         Parameter& parameter, const std::function<void(int64_t)>& done) {
  constexpr int64_t kPiece = int64_t{1} << 24;
  const Tensor& master = parameter.master;
  const uint64_t key = ParameterKey(seed, parameter.spec.name);
  const auto value_at = [&](int64_t i) {
    switch (parameter.spec.kind) {
      case ParameterKind::kMatrix:
        return config.initializer_range * RandomStream(key, static_cast<uint64_t>(i)).NextNormal();
      case ParameterKind::kNormGain:
        return 1.0;
      case ParameterKind::kBias:
      case ParameterKind::kRouterBias:
        return 0.0;
    }
    return 0.0;
  };
  for (int64_t first = 0; first < master.elements(); first += kPiece) {
    const int64_t count = std::min(kPiece, master.elements() - first);
    pool.ParallelFor(count, 4096, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = first + begin; i < first + end; ++i) {
        if (master.dtype() == DType::kF64) {
          master.data<double>()[i] = value_at(i);
        } else {
          master.data<float>()[i] = static_cast<float>(value_at(i));
        }
      }
    });
    if (done) done(count);
  }
}

void InitializeParameters(const ModelConfig& config, uint64_t seed, ThreadPool& pool,
                          ParameterStore& store, bool quiet) {
  const ParameterCounts counts = CountParameters(config);
  Progress progress("initialising", "parameters", static_cast<double>(counts.total + counts.mtp),
                    quiet);
  double done = 0;
  for (const auto& parameter : store.all()) {
    InitializeParameter(config, seed, pool, *parameter, [&](int64_t elements) {
      done += static_cast<double>(elements);
      progress.Update(done);
    });
  }
  store.MarkChanged();
}

}  // namespace fathom
