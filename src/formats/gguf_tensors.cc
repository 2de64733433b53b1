#include "formats/gguf_tensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "formats/gguf_names.h"

namespace fathom {
namespace {

constexpr int64_t kPiece = 4096;  // elements decoded at a time

// y = elements [begin, begin + elements of y) of a tensor.
void Decode(const GgufTensor& source, int64_t begin, Tensor y) {
  const int64_t count = y.elements();
  if (y.dtype() == DType::kF32) {
    DecodeBlocks(source.format, source.data, begin, count, y.data<float>());
    return;
  }
  const Tensor flat = y.Reshape(Shape({count}));
  std::array<float, kPiece> piece;
  for (int64_t done = 0; done < count; done += kPiece) {
    const int64_t size = std::min(kPiece, count - done);
    DecodeBlocks(source.format, source.data, begin + done, size, piece.data());
    ConvertElements(ConstTensor(piece.data(), DType::kF32, Shape({size})),
                    flat.Rows(done, done + size));
  }
}

std::string TypeName(const GgufTensor& tensor) { return std::string(LayoutOf(tensor.format).name); }

uint64_t BytesOf(const GgufTensor& tensor, int64_t elements) {
  const BlockLayout layout = LayoutOf(tensor.format);
  return static_cast<uint64_t>(elements / layout.elements * layout.bytes);
}

// The type of codes of rows of so many elements.
std::optional<DType> CodesOf(const GgufTensor& source, int64_t row) {
  return row % LayoutOf(source.format).elements == 0 ? CodedType(source.format) : std::nullopt;
}

// `count` such rows, the i-th the file's row row_at(i).
template <typename RowAt>
CodedRows CodedRowsOf(const GgufTensor& source, int64_t row, int64_t count, RowAt row_at) {
  const BlockLayout layout = LayoutOf(source.format);
  CodedRows codes{.dtype = CodesOf(source, row).value()};
  codes.rows.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    codes.rows.push_back(source.data + row_at(i) * (row / layout.elements * layout.bytes));
  }
  return codes;
}

// Rows of a tensor that lie one after the other: all of them, or those of one expert.
class RowsTensor : public StoredTensor {
 public:
  // first: the first element.
  RowsTensor(const GgufTensor& source, int64_t first, Shape shape)
      : StoredTensor(shape, TypeName(source), BytesOf(source, shape.elements())),
        source_(source),
        first_(first),
        row_(shape.elements() / shape[0]) {}

  ConstTensor View() const override {
    if (source_.format != BlockFormat::kF32 && source_.format != BlockFormat::kBF16) return {};
    const DType dtype = source_.format == BlockFormat::kF32 ? DType::kF32 : DType::kBF16;
    const auto size = static_cast<int64_t>(SizeOf(dtype));
    const std::byte* data = source_.data + first_ * size;
    if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(size) != 0) return {};
    return {data, dtype, shape()};
  }

  void Read(int64_t begin, Tensor y) const override { Decode(source_, first_ + begin * row_, y); }
  std::optional<DType> CodeType(int64_t, int64_t, bool transposed) const override {
    if (transposed || shape().rank() != 2) return std::nullopt;
    return CodesOf(source_, row_);
  }
  CodedRows Coded(int64_t begin, int64_t end, bool) const override {
    return CodedRowsOf(source_, row_, end - begin,
                       [&](int64_t i) { return first_ / row_ + begin + i; });
  }
  void Release() const override {
    const BlockLayout layout = LayoutOf(source_.format);
    ReleasePages({source_.data + first_ / layout.elements * layout.bytes, bytes()});
  }

 private:
  const GgufTensor& source_;
  int64_t first_, row_;
};

// q or k of architecture llama: of each head, the file's row 2 j + t is row t head_dim / 2 + j.
class InterleavedRowsTensor : public StoredTensor {
 public:
  InterleavedRowsTensor(const GgufTensor& source, Shape shape, int64_t head_dim)
      : StoredTensor(shape, TypeName(source), source.bytes),
        source_(source),
        head_dim_(head_dim),
        row_(shape.elements() / shape[0]) {}

  void Read(int64_t begin, Tensor y) const override {
    for (int64_t i = 0; i < y.dim(0); ++i) {
      Decode(source_, FileRow(begin + i) * row_, y.Rows(i, i + 1));
    }
  }
  std::optional<DType> CodeType(int64_t, int64_t, bool transposed) const override {
    if (transposed || shape().rank() != 2) return std::nullopt;
    return CodesOf(source_, row_);
  }
  CodedRows Coded(int64_t begin, int64_t end, bool) const override {
    return CodedRowsOf(source_, row_, end - begin, [&](int64_t i) { return FileRow(begin + i); });
  }
  void Release() const override { ReleasePages({source_.data, source_.bytes}); }

 private:
  int64_t FileRow(int64_t row) const {
    const int64_t half = head_dim_ / 2, inside = row % head_dim_;
    return row - inside + 2 * (inside % half) + inside / half;
  }

  const GgufTensor& source_;
  int64_t head_dim_, row_;
};

// kv_b_proj from its two halves.
class LatentUpTensor : public StoredTensor {
 public:
  LatentUpTensor(const ModelConfig& config, const GgufTensor& k, const GgufTensor& v)
      : StoredTensor(
            Shape({config.num_attention_heads * (config.qk_nope_head_dim + config.v_head_dim),
                   config.kv_lora_rank}),
            k.format == v.format ? TypeName(k) : fmt::format("{} + {}", TypeName(k), TypeName(v)),
            k.bytes + v.bytes),
        k_(k),
        v_(v),
        nope_(config.qk_nope_head_dim),
        value_(config.v_head_dim),
        latent_(config.kv_lora_rank) {}

  void Read(int64_t begin, Tensor y) const override {
    const int64_t end = begin + y.dim(0);
    for (int64_t row = begin; row < end;) {
      const int64_t head = row / (nope_ + value_), inside = row % (nope_ + value_);
      const bool key = inside < nope_;
      const int64_t size = std::min(end - row, (key ? nope_ : nope_ + value_) - inside);
      const Tensor rows = y.Rows(row - begin, row - begin + size);
      if (key) {
        ReadTransposed(head, inside, rows);
      } else {
        Decode(v_, (head * value_ + inside - nope_) * latent_, rows);
      }
      row += size;
    }
  }
  // A head's values, and the transpose of its keys, are rows of the file.
  std::optional<DType> CodeType(int64_t begin, int64_t end, bool transposed) const override {
    const int64_t all = nope_ + value_, inside = begin % all;
    if (transposed) {
      return inside == 0 && end - begin == nope_ ? CodesOf(k_, nope_) : std::nullopt;
    }
    return inside >= nope_ && end <= begin - inside + all ? CodesOf(v_, latent_) : std::nullopt;
  }
  CodedRows Coded(int64_t begin, int64_t end, bool transposed) const override {
    const int64_t all = nope_ + value_, head = begin / all, inside = begin % all;
    if (transposed) {
      return CodedRowsOf(k_, nope_, latent_, [&](int64_t i) { return head * latent_ + i; });
    }
    return CodedRowsOf(v_, latent_, end - begin,
                       [&](int64_t i) { return head * value_ + inside - nope_ + i; });
  }
  void Release() const override {
    ReleasePages({k_.data, k_.bytes});
    ReleasePages({v_.data, v_.bytes});
  }

 private:
  // y = rows [first, first + rows of y) of a head's k, which the file has as columns.
  void ReadTransposed(int64_t head, int64_t first, Tensor y) const {
    std::array<float, kPiece> column;
    for (int64_t done = 0; done < y.dim(0); done += kPiece) {
      const int64_t size = std::min(kPiece, y.dim(0) - done);
      for (int64_t c = 0; c < latent_; ++c) {
        DecodeBlocks(k_.format, k_.data, (head * latent_ + c) * nope_ + first + done, size,
                     column.data());
        for (int64_t i = 0; i < size; ++i)
          Store(column[static_cast<size_t>(i)], (done + i) * latent_ + c, y);
      }
    }
  }

  static void Store(float value, int64_t index, Tensor y) {
    if (y.dtype() == DType::kF32) {
      y.data<float>()[index] = value;
    } else if (y.dtype() == DType::kBF16) {
      y.data<BF16>()[index] = BF16(value);
    } else {
      y.data<double>()[index] = static_cast<double>(value);
    }
  }

  const GgufTensor& k_;
  const GgufTensor& v_;
  int64_t nope_, value_, latent_;
};

class Mapper {
 public:
  Mapper(const ModelConfig& config, const std::vector<GgufTensor>& tensors) : config_(config) {
    for (const GgufTensor& tensor : tensors) by_name_.emplace(tensor.name, &tensor);
  }

  StoredTensors Map() {
    for (const auto& [name, tensor] : by_name_) {
      if (name == "rope_freqs.weight") continue;
      const auto layer = SplitGgufLayer(name);
      if (layer && config_.latent_attention() && MapLatent(*layer, *tensor)) continue;
      if (layer && MapExperts(*layer, *tensor)) continue;
      MapOne(*tensor);
    }
    // DeepSeek's configuration always has a head of its own.
    if (!config_.tie_word_embeddings && !by_name_.contains("output.weight")) {
      const auto embedding = by_name_.find("token_embd.weight");
      if (embedding != by_name_.end()) {
        Add("lm_head.weight",
            std::make_unique<RowsTensor>(*embedding->second, 0, ShapeOf(*embedding->second)));
      }
    }
    return std::move(mapped_);
  }

 private:
  static Shape ShapeOf(const GgufTensor& tensor) {
    return Shape(std::vector<int64_t>(tensor.dims.rbegin(), tensor.dims.rend()));
  }

  static void RequireShape(const GgufTensor& tensor, std::vector<int64_t> dims) {
    if (tensor.dims == dims) return;
    throw Error(tensor.where,
                fmt::format("has dimensions {}, the configuration asks for {}", tensor.dims, dims));
  }

  void Add(const std::string& name, std::unique_ptr<StoredTensor> tensor) {
    mapped_.emplace(name, std::move(tensor));
  }

  void MapOne(const GgufTensor& tensor) {
    const auto name = HuggingFaceName(tensor.name);
    if (!name) {
      Add(std::string(tensor.name), std::make_unique<RowsTensor>(tensor, 0, ShapeOf(tensor)));
      return;
    }
    const Shape shape = ShapeOf(tensor);
    const bool rotated = name->find("self_attn.q_proj.") != std::string::npos ||
                         name->find("self_attn.k_proj.") != std::string::npos;
    if (config_.family == Family::kLlama && rotated) {
      if (config_.head_dim % 2 != 0 || shape[0] % config_.head_dim != 0) {
        throw Error(tensor.where, fmt::format("has {} rows, no multiple of heads of {}", shape[0],
                                              config_.head_dim));
      }
      Add(*name, std::make_unique<InterleavedRowsTensor>(tensor, shape, config_.head_dim));
    } else {
      Add(*name, std::make_unique<RowsTensor>(tensor, 0, shape));
    }
  }

  // k_b and v_b of a layer; true when the tensor is one of them.
  bool MapLatent(LayerName layer, const GgufTensor& tensor) {
    if (layer.rest == "attn_v_b.weight") {
      Other(layer, "attn_k_b.weight", tensor);
      return true;
    }
    if (layer.rest != "attn_k_b.weight") return false;
    const GgufTensor& v = Other(layer, "attn_v_b.weight", tensor);
    RequireShape(tensor,
                 {config_.qk_nope_head_dim, config_.kv_lora_rank, config_.num_attention_heads});
    RequireShape(v, {config_.kv_lora_rank, config_.v_head_dim, config_.num_attention_heads});
    Add(fmt::format("model.layers.{}.self_attn.kv_b_proj.weight", layer.layer),
        std::make_unique<LatentUpTensor>(config_, tensor, v));
    return true;
  }

  const GgufTensor& Other(LayerName layer, std::string_view rest, const GgufTensor& tensor) const {
    const auto found = by_name_.find(fmt::format("blk.{}.{}", layer.layer, rest));
    if (found == by_name_.end())
      throw Error(tensor.where, fmt::format("the file has no blk.{}.{}", layer.layer, rest));
    return *found->second;
  }

  // Stacked experts; true when the tensor is one.
  bool MapExperts(LayerName layer, const GgufTensor& tensor) {
    constexpr std::string_view kEnd = "_exps.weight";
    constexpr std::string_view kBegin = "ffn_";
    if (!layer.rest.starts_with(kBegin) || !layer.rest.ends_with(kEnd)) return false;
    const std::string_view what =
        layer.rest.substr(kBegin.size(), layer.rest.size() - kBegin.size() - kEnd.size());
    const int64_t hidden = config_.hidden_size, width = config_.moe_intermediate_size;
    const auto add = [&](std::string_view projection, int64_t first_row, int64_t rows,
                         int64_t all_rows) {
      const int64_t columns = tensor.dims[0];
      for (int64_t e = 0; e < config_.n_routed_experts; ++e) {
        Add(fmt::format("model.layers.{}.mlp.experts.{}.{}_proj.weight", layer.layer, e,
                        projection),
            std::make_unique<RowsTensor>(tensor, (e * all_rows + first_row) * columns,
                                         Shape({rows, columns})));
      }
    };
    if (what == "gate" || what == "up") {
      RequireShape(tensor, {hidden, width, config_.n_routed_experts});
      add(what, 0, width, width);
    } else if (what == "down") {
      RequireShape(tensor, {width, hidden, config_.n_routed_experts});
      add(what, 0, hidden, hidden);
    } else if (what == "gate_up") {
      RequireShape(tensor, {hidden, 2 * width, config_.n_routed_experts});
      add("gate", 0, width, 2 * width);
      add("up", width, width, 2 * width);
    } else {
      return false;
    }
    return true;
  }

  const ModelConfig& config_;
  std::map<std::string, const GgufTensor*, std::less<>> by_name_;
  StoredTensors mapped_;
};

}  // namespace

StoredTensors MapGgufTensors(const ModelConfig& config, const std::vector<GgufTensor>& tensors) {
  return Mapper(config, tensors).Map();
}

}  // namespace fathom
