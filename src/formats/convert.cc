#include "formats/convert.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/model_directory.h"
#include "formats/safetensors_tensor.h"
#include "tensor/float16.h"
#include "tensor/float8_blocks.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

// Elements that are converted at a time.
constexpr int64_t kPieceElements = int64_t{1} << 22;

bool IsRouterBias(std::string_view name) { return name.ends_with("e_score_correction_bias"); }

// The weights that are FP8 in DeepSeek-V3's release: those of the products in attention, MLPs and
// experts, but the router's.
bool IsProjection(std::string_view name, const Shape& shape) {
  const bool block = name.find(".self_attn.") != std::string_view::npos ||
                     name.find(".mlp.") != std::string_view::npos;
  return shape.rank() == 2 && block &&
         (name.ends_with("_proj.weight") || name.ends_with("_proj_with_mqa.weight"));
}

std::vector<int64_t> Dimensions(const Shape& shape) {
  std::vector<int64_t> dimensions;
  for (int i = 0; i < shape.rank(); ++i) dimensions.push_back(shape[i]);
  return dimensions;
}

// The name of a type in config.json; FP8 is said elsewhere.
std::string_view DtypeName(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return "float32";
    case WeightType::kF16:
      return "float16";
    case WeightType::kBF16:
    case WeightType::kFp8:
      return "bfloat16";
  }
  FATHOM_CHECK(false, "type {}", static_cast<int>(type));
}

// The same of a source that does not say it itself, as most of its weights are.
std::string_view StoredDtypeName(const ModelSource& source) {
  const StoredTensor* embedding = source.Find("model.embed_tokens.weight");
  if (embedding == nullptr || embedding->type() == "F32") return DtypeName(WeightType::kF32);
  return DtypeName(embedding->type() == "F16" ? WeightType::kF16 : WeightType::kBF16);
}

// Files that a program may have left beside the weights, and weights in formats of others.
bool IsSideFile(const fs::path& file) {
  const std::string name = file.filename().string();
  if (name.starts_with('.') || name == kConfigFile || name.ends_with(".index.json")) return false;
  for (const char* weights : {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5",
                              ".msgpack", ".onnx", ".partial"}) {
    if (name.ends_with(weights)) return false;
  }
  return true;
}

// Converts rows of one tensor after another; keeps its buffers.
class PieceConverter {
 public:
  PieceConverter(ThreadPool& pool, WeightsWriter& writer) : pool_(&pool), writer_(&writer) {}

  // Rows [begin, end) of `tensor` to the declaration `index` (and, in FP8, their scales to the
  // next).
  void Convert(const StoredTensor& tensor, const std::string& where, const std::string& type,
               int64_t begin, int64_t end, size_t index) {
    std::vector<int64_t> dimensions = Dimensions(tensor.shape());
    dimensions[0] = end - begin;
    const Shape shape(dimensions);
    const SafetensorsType* known = FindSafetensorsType(type);
    if (known->dtype) {
      const Tensor rows = Resize(values_, *known->dtype, shape);
      ReadRows(*pool_, tensor, begin, rows);
      writer_->Append(index, rows.raw(), static_cast<size_t>(rows.bytes()));
      return;
    }
    const Tensor rows = Resize(values_, DType::kF32, shape);
    ReadRows(*pool_, tensor, begin, rows);
    if (type == kFp8Type) {
      WriteFp8(rows, where, index);
    } else {
      WriteF16(rows, where, index);
    }
  }

 private:
  static Tensor Resize(std::vector<std::byte>& buffer, DType dtype, const Shape& shape) {
    buffer.resize(std::max(buffer.size(), static_cast<size_t>(shape.elements()) * SizeOf(dtype)));
    return Tensor(buffer.data(), dtype, shape);
  }

  void WriteF16(const Tensor& rows, const std::string& where, size_t index) {
    const auto count = static_cast<size_t>(rows.elements());
    const float* x = rows.data<float>();
    halves_.resize(count);
    pool_->ParallelFor(rows.elements(), 1 << 14, [&](int64_t begin, int64_t end, int) {
      EncodeF16(x + begin, end - begin, halves_.data() + begin);
    });
    for (size_t i = 0; i < count; ++i) {
      if ((halves_[i].bits & 0x7fff) == 0x7c00 && std::isfinite(x[i])) {
        throw Error(where,
                    fmt::format("holds {}, which is more than f16 can ({})", x[i], F16::kLargest),
                    "convert to bf16");
      }
    }
    writer_->Append(index, halves_.data(), count * sizeof(F16));
  }

  void WriteFp8(const Tensor& rows, const std::string& where, size_t index) {
    const int64_t n = rows.dim(0), k = rows.dim(1);
    codes_.resize(static_cast<size_t>(n * k));
    scales_.resize(static_cast<size_t>((n + Fp8Blocks::kRows - 1) / Fp8Blocks::kRows *
                                       ((k + Fp8Blocks::kColumns - 1) / Fp8Blocks::kColumns)));
    if (!EncodeE4M3Blocks(*pool_, rows, Fp8Blocks::kRows, Fp8Blocks::kColumns, codes_.data(),
                          scales_.data())) {
      throw Error(where, "holds an infinity or a NaN, for which there is no FP8 scale",
                  "convert to bf16");
    }
    writer_->Append(index, codes_.data(), codes_.size());
    writer_->Append(index + 1, scales_.data(), scales_.size() * sizeof(float));
  }

  ThreadPool* pool_;
  WeightsWriter* writer_;
  std::vector<std::byte> values_;
  std::vector<F16> halves_;
  std::vector<E4M3> codes_;
  std::vector<float> scales_;
};

}  // namespace

Conversion::Conversion(const ModelSource& source, const ConversionOptions& options)
    : source_(&source), options_(options) {
  for (const std::string& name : source.names()) {
    const StoredTensor* tensor = source.Find(name);
    Item item{name, tensor, TargetType(name, *tensor), false, declarations_.size()};
    if (FindSafetensorsType(item.type) == nullptr) {
      throw Error(fmt::format("{}: {}", source.path().string(), name),
                  fmt::format("safetensors have no type {}", item.type), "give --dtype");
    }
    const auto* parts = dynamic_cast<const SafetensorsTensor*>(tensor);
    item.copied = parts != nullptr && item.type == tensor->type();
    if (item.copied) {
      for (const SafetensorsTensor::Part& part : parts->parts())
        declarations_.push_back({part.name, part.entry->type, part.entry->shape});
    } else {
      const std::vector<int64_t> shape = Dimensions(tensor->shape());
      declarations_.push_back({name, item.type, shape});
      if (item.type == kFp8Type) {
        declarations_.push_back({name + std::string(kScaleSuffix),
                                 "F32",
                                 {(shape[0] + Fp8Blocks::kRows - 1) / Fp8Blocks::kRows,
                                  (shape[1] + Fp8Blocks::kColumns - 1) / Fp8Blocks::kColumns}});
      }
    }
    items_.push_back(std::move(item));
  }
  for (const SafetensorsDeclaration& tensor : declarations_) bytes_ += tensor.bytes();
}

std::string Conversion::TargetType(const std::string& name, const StoredTensor& tensor) const {
  if (!options_.type) return tensor.type();
  const bool keeps_type = IsRouterBias(name) && options_.type != WeightType::kF32 &&
                          FindSafetensorsType(tensor.type()) != nullptr;
  if (keeps_type) return tensor.type();
  switch (*options_.type) {
    case WeightType::kF32:
      return "F32";
    case WeightType::kBF16:
      return "BF16";
    case WeightType::kF16:
      return "F16";
    case WeightType::kFp8:
      return IsProjection(name, tensor.shape()) ? std::string(kFp8Type) : "BF16";
  }
  FATHOM_CHECK(false, "type {}", static_cast<int>(*options_.type));
}

void Conversion::Write(const fs::path& directory, ThreadPool& pool,
                       FunctionRef<void(uint64_t written)> progress) const {
  WriteFileAtomically(directory / kConfigFile, ConfigText());
  CopySideFiles(directory);
  WeightsWriter writer(directory, declarations_, options_.shard_bytes);
  PieceConverter converter(pool, writer);
  uint64_t written = 0;
  for (const Item& item : items_) {
    if (item.copied) {
      size_t index = item.first;
      for (const auto& part : static_cast<const SafetensorsTensor*>(item.tensor)->parts()) {
        constexpr size_t kBytes = size_t{1} << 24;
        for (size_t begin = 0; begin < part.bytes.size(); begin += kBytes) {
          const auto piece = part.bytes.subspan(begin, std::min(kBytes, part.bytes.size() - begin));
          writer.Append(index, piece.data(), piece.size());
          ReleasePages(piece);
          progress(written + begin + piece.size());
        }
        written += part.bytes.size();
        ++index;
      }
    } else {
      const Shape& shape = item.tensor->shape();
      const int64_t rows = shape[0];
      const int64_t row = shape.elements() / std::max<int64_t>(1, rows);
      // Whole blocks, so that each is seen at once.
      const int64_t step =
          std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, row) / Fp8Blocks::kRows) *
          Fp8Blocks::kRows;
      const std::string where = fmt::format("{}: {}", source_->path().string(), item.name);
      for (int64_t begin = 0; begin < rows && row > 0; begin += step) {
        const int64_t end = std::min(rows, begin + step);
        converter.Convert(*item.tensor, where, item.type, begin, end, item.first);
        item.tensor->Release();
        progress(written + declarations_[item.first].bytes() * static_cast<uint64_t>(end) /
                               static_cast<uint64_t>(rows));
      }
      written += declarations_[item.first].bytes();
      if (item.type == kFp8Type) written += declarations_[item.first + 1].bytes();
    }
    item.tensor->Release();
  }
  writer.Commit();
}

std::string Conversion::ConfigText() const {
  const auto text = source_->SideFile(kConfigFile);
  if (text && !options_.type) return *text;
  if (!text && !options_.type) return source_->config().ToJson(StoredDtypeName(*source_));
  // Its depth was checked when the source read it.
  auto json = nlohmann::ordered_json::parse(text ? *text : source_->config().ToJson("float32"));
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (json.contains(key)) json[key] = DtypeName(*options_.type);
  }
  if (!json.contains("torch_dtype") && !json.contains("dtype"))
    json["torch_dtype"] = DtypeName(*options_.type);
  if (options_.type != WeightType::kFp8) {
    json.erase("quantization_config");
  } else if (!source_->config().fp8_blocks) {
    json["quantization_config"] = {{"activation_scheme", "dynamic"},
                                   {"fmt", "e4m3"},
                                   {"quant_method", "fp8"},
                                   {"weight_block_size", {Fp8Blocks::kRows, Fp8Blocks::kColumns}}};
  }
  return json.dump(2) + "\n";
}

void Conversion::CopySideFiles(const fs::path& directory) const {
  if (fs::is_directory(source_->path())) {
    for (const auto& entry : fs::directory_iterator(source_->path())) {
      if (entry.is_regular_file() && IsSideFile(entry.path()))
        fs::copy_file(entry.path(), directory / entry.path().filename());
    }
    return;
  }
  if (const auto tokenizer = source_->LoadTokenizer())
    tokenizer->Save(directory / "tokenizer.json");
  for (const char* name :
       {"tokenizer_config.json", "generation_config.json", "chat_template.jinja"}) {
    if (const auto text = source_->SideFile(name)) WriteFileAtomically(directory / name, *text);
  }
}

}  // namespace fathom
