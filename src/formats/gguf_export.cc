#include "formats/gguf_export.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "formats/frequency_factors.h"
#include "formats/gguf_names.h"
#include "model/parameters.h"

namespace fathom {
namespace {

// A tensor of the file, made of units that can be computed apart: a row, or the rows of a head.
struct Item {
  std::string name;
  std::vector<int64_t> dims{};  // fastest first
  BlockFormat format = BlockFormat::kF32;
  int64_t units = 0;
  int64_t unit_elements = 0;  // whole rows
  std::function<void(int64_t unit, float* y)> read{};
  std::vector<const StoredTensor*> sources{};
};

void ReadRow(const StoredTensor& tensor, int64_t row, int64_t columns, float* y) {
  tensor.Read(row, Tensor(y, DType::kF32, Shape({1, columns})));
}

class Planner {
 public:
  Planner(const ModelSource& source, BlockFormat format)
      : source_(source), config_(source.config()), format_(format) {}

  std::vector<Item> Plan() {
    if (std::holds_alternative<Llama3Scaling>(config_.rope_scaling)) AddFrequencyFactors();
    for (const ParameterSpec& spec : ParameterSpecs(config_)) Add(spec);
    return std::move(items_);
  }

 private:
  const StoredTensor& Find(const std::string& name, const Shape& shape) const {
    const StoredTensor* tensor = source_.Find(name);
    const std::string where = source_.path().string();
    if (tensor == nullptr) throw Error(where, fmt::format("tensor '{}' is missing", name));
    if (!(tensor->shape() == shape)) {
      throw Error(where, fmt::format("tensor '{}' has shape {}, the configuration asks for {}",
                                     name, tensor->shape().ToString(), shape.ToString()));
    }
    return *tensor;
  }

  // The format of a matrix with rows of so many elements.
  BlockFormat Fitting(std::string_view name, int64_t columns) const {
    if (name.ends_with("ffn_gate_inp.weight")) return BlockFormat::kF32;
    BlockFormat format = format_;
    const bool outer = name == "token_embd.weight" || name == "output.weight";
    if (format == BlockFormat::kQ4K && outer) format = BlockFormat::kQ6K;
    if (columns % LayoutOf(format).elements != 0) format = BlockFormat::kQ8_0;
    if (columns % LayoutOf(format).elements != 0) format = BlockFormat::kBF16;
    return format;
  }

  void AddFrequencyFactors() {
    Item item{.name = "rope_freqs.weight", .units = 1};
    item.read = [factors = FrequencyFactors(config_)](int64_t, float* y) {
      std::copy(factors.begin(), factors.end(), y);
    };
    item.unit_elements = config_.rope_dim() / 2;
    item.dims = {item.unit_elements};
    items_.push_back(std::move(item));
  }

  void Add(const ParameterSpec& spec) {
    if (spec.expert > 0) return;  // written with the first
    if (spec.expert == 0) return AddExperts(spec);
    const StoredTensor& tensor = Find(spec.name, spec.shape);
    if (spec.name.ends_with("self_attn.kv_b_proj.weight")) return AddLatentUp(spec, tensor);
    const auto name = GgufName(spec.name);
    FATHOM_CHECK(name.has_value(), "{} has no name in GGUF files", spec.name);
    if (spec.shape.rank() == 1) {
      AddVector(*name, tensor);
    } else if (config_.family == Family::kLlama &&
               (spec.name.ends_with("self_attn.q_proj.weight") ||
                spec.name.ends_with("self_attn.k_proj.weight"))) {
      AddInterleaved(*name, tensor);
    } else {
      AddMatrices(*name, {&tensor}, {tensor.shape()[1], tensor.shape()[0]});
    }
  }

  void AddVector(const std::string& name, const StoredTensor& tensor) {
    const int64_t size = tensor.shape()[0];
    Item item{.name = name, .dims = {size}, .units = 1, .unit_elements = size};
    item.read = [&tensor, size](int64_t, float* y) {
      tensor.Read(0, Tensor(y, DType::kF32, Shape({size})));
    };
    item.sources = {&tensor};
    items_.push_back(std::move(item));
  }

  // The rows of one or more matrices of the same shape, one after the other.
  void AddMatrices(const std::string& name, std::vector<const StoredTensor*> tensors,
                   std::vector<int64_t> dims) {
    const int64_t columns = dims[0], rows = dims[1];
    Item item{.name = name,
              .dims = std::move(dims),
              .format = Fitting(name, columns),
              .units = rows * static_cast<int64_t>(tensors.size()),
              .unit_elements = columns};
    item.read = [tensors, rows, columns](int64_t row, float* y) {
      ReadRow(*tensors[static_cast<size_t>(row / rows)], row % rows, columns, y);
    };
    item.sources = std::move(tensors);
    items_.push_back(std::move(item));
  }

  // q and k of architecture llama: of each head, row 2 j + t of the file is row t head_dim / 2 + j.
  void AddInterleaved(const std::string& name, const StoredTensor& tensor) {
    const int64_t columns = tensor.shape()[1], rows = tensor.shape()[0];
    Item item{.name = name,
              .dims = {columns, rows},
              .format = Fitting(name, columns),
              .units = rows,
              .unit_elements = columns};
    item.read = [&tensor, columns, head_dim = config_.head_dim](int64_t row, float* y) {
      const int64_t head = row / head_dim, inside = row % head_dim;
      ReadRow(tensor, head * head_dim + inside % 2 * (head_dim / 2) + inside / 2, columns, y);
    };
    item.sources = {&tensor};
    items_.push_back(std::move(item));
  }

  void AddExperts(const ParameterSpec& spec) {
    const auto layer = SplitHuggingFaceLayer(spec.name);
    constexpr std::string_view kPrefix = "mlp.experts.0.";
    constexpr std::string_view kSuffix = "_proj.weight";
    FATHOM_CHECK(layer && layer->rest.starts_with(kPrefix) && layer->rest.ends_with(kSuffix));
    const std::string_view projection =
        layer->rest.substr(kPrefix.size(), layer->rest.size() - kPrefix.size() - kSuffix.size());
    std::vector<const StoredTensor*> experts;
    for (int64_t e = 0; e < config_.n_routed_experts; ++e) {
      experts.push_back(&Find(
          fmt::format("model.layers.{}.mlp.experts.{}.{}{}", layer->layer, e, projection, kSuffix),
          spec.shape));
    }
    AddMatrices(fmt::format("blk.{}.ffn_{}_exps.weight", layer->layer, projection),
                std::move(experts), {spec.shape[1], spec.shape[0], config_.n_routed_experts});
  }

  // kv_b_proj as k_b, transposed in each head, and v_b.
  void AddLatentUp(const ParameterSpec& spec, const StoredTensor& tensor) {
    const int64_t layer = SplitHuggingFaceLayer(spec.name)->layer;
    const int64_t heads = config_.num_attention_heads, latent = config_.kv_lora_rank;
    const int64_t nope = config_.qk_nope_head_dim, value = config_.v_head_dim;
    Item k{.name = fmt::format("blk.{}.attn_k_b.weight", layer),
           .dims = {nope, latent, heads},
           .units = heads,
           .unit_elements = latent * nope};
    k.format = Fitting(k.name, nope);
    k.read = [&tensor, nope, value, latent](int64_t head, float* y) {
      std::vector<float> rows(static_cast<size_t>(nope * latent));
      tensor.Read(head * (nope + value), Tensor(rows.data(), DType::kF32, Shape({nope, latent})));
      for (int64_t c = 0; c < latent; ++c) {
        for (int64_t i = 0; i < nope; ++i)
          y[c * nope + i] = rows[static_cast<size_t>(i * latent + c)];
      }
    };
    k.sources = {&tensor};
    items_.push_back(std::move(k));
    Item v{.name = fmt::format("blk.{}.attn_v_b.weight", layer),
           .dims = {latent, value, heads},
           .units = heads * value,
           .unit_elements = latent};
    v.format = Fitting(v.name, latent);
    v.read = [&tensor, nope, value, latent](int64_t row, float* y) {
      ReadRow(tensor, row / value * (nope + value) + nope + row % value, latent, y);
    };
    v.sources = {&tensor};
    items_.push_back(std::move(v));
  }

  const ModelSource& source_;
  const ModelConfig& config_;
  BlockFormat format_;
  std::vector<Item> items_;
};

// Formats with scales in half precision hold neither infinities nor values beyond its range; f16
// itself holds no larger values.
void CheckValues(const Item& item, const std::string& file, std::span<const float> values) {
  if (item.format == BlockFormat::kF32 || item.format == BlockFormat::kBF16) return;
  constexpr float kLargest = 65504;
  for (const float value : values) {
    if (std::fabs(value) <= kLargest) continue;
    throw Error(fmt::format("{}: tensor '{}'", file, item.name),
                fmt::format("holds {}, which {} cannot", value, LayoutOf(item.format).name),
                "write it as bf16 or f32");
  }
}

void WriteItem(const Item& item, const std::string& source, ThreadPool& pool, AtomicFile& file,
               FunctionRef<void(uint64_t bytes)> written) {
  constexpr int64_t kPieceBytes = int64_t{8} << 20;
  const BlockLayout layout = LayoutOf(item.format);
  const int64_t unit_bytes = item.unit_elements / layout.elements * layout.bytes;
  const int64_t piece = std::clamp<int64_t>(kPieceBytes / unit_bytes, 1, item.units);
  std::vector<std::byte> encoded(static_cast<size_t>(piece * unit_bytes));
  for (int64_t begin = 0; begin < item.units; begin += piece) {
    const int64_t count = std::min(piece, item.units - begin);
    pool.ParallelFor(count, 1, [&](int64_t first, int64_t end, int) {
      std::vector<float> values(static_cast<size_t>(item.unit_elements));
      for (int64_t unit = first; unit < end; ++unit) {
        item.read(begin + unit, values.data());
        CheckValues(item, source, values);
        EncodeBlocks(item.format, values.data(), item.unit_elements,
                     encoded.data() + unit * unit_bytes);
      }
    });
    const auto bytes = static_cast<size_t>(count * unit_bytes);
    file.Write(encoded.data(), bytes);
    for (const StoredTensor* tensor : item.sources) tensor->Release();
    written(bytes);
  }
}

}  // namespace

void ExportGguf(const ModelSource& source, const std::filesystem::path& path, BlockFormat format,
                ThreadPool& pool, FunctionRef<void(uint64_t done, uint64_t total)> progress) {
  source.config().RequireHead(ModelHead::kLanguage, source.path().string());
  GgufWriter writer;
  DescribeModel(source, format, writer);
  const std::vector<Item> items = Planner(source, format).Plan();
  uint64_t total = 0, done = 0;
  for (const Item& item : items) {
    writer.AddTensor(item.name, item.dims, item.format);
    total += GgufWriter::TensorBytes(item.dims, item.format);
  }
  AtomicFile file(path);
  file.Write(writer.Header());
  for (const Item& item : items) {
    WriteItem(item, source.path().string(), pool, file, [&](uint64_t bytes) {
      done += bytes;
      progress(done, total);
    });
    constexpr std::array<char, GgufWriter::kAlignment> kZeros{};
    file.Write(kZeros.data(), GgufWriter::Padding(GgufWriter::TensorBytes(item.dims, item.format)));
  }
  file.Commit();
}

}  // namespace fathom
