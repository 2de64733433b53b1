#include "formats/gguf_writer.h"

#include "base/error.h"
#include "formats/gguf_value.h"

namespace fathom {
namespace {

template <typename T>
void Append(T value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendText(std::string_view text, std::string& out) {
  Append(static_cast<uint64_t>(text.size()), out);
  out.append(text);
}

constexpr uint32_t Number(GgufType type) { return static_cast<uint32_t>(type); }

}  // namespace

void GgufWriter::BeginKey(std::string_view key, uint32_t type) {
  AppendText(key, keys_);
  Append(type, keys_);
  ++key_count_;
}

void GgufWriter::AddString(std::string_view key, std::string_view value) {
  BeginKey(key, Number(GgufType::kString));
  AppendText(value, keys_);
}

void GgufWriter::AddU32(std::string_view key, int64_t value) {
  FATHOM_CHECK(value >= 0 && value <= UINT32_MAX, "{} = {}", key, value);
  BeginKey(key, Number(GgufType::kU32));
  Append(static_cast<uint32_t>(value), keys_);
}

void GgufWriter::AddI32(std::string_view key, int64_t value) {
  FATHOM_CHECK(value >= INT32_MIN && value <= INT32_MAX, "{} = {}", key, value);
  BeginKey(key, Number(GgufType::kI32));
  Append(static_cast<int32_t>(value), keys_);
}

void GgufWriter::AddF32(std::string_view key, double value) {
  BeginKey(key, Number(GgufType::kF32));
  Append(static_cast<float>(value), keys_);
}

void GgufWriter::AddBool(std::string_view key, bool value) {
  BeginKey(key, Number(GgufType::kBool));
  Append(static_cast<uint8_t>(value ? 1 : 0), keys_);
}

void GgufWriter::AddStrings(std::string_view key, const std::vector<std::string>& values) {
  BeginKey(key, Number(GgufType::kArray));
  Append(Number(GgufType::kString), keys_);
  Append(static_cast<uint64_t>(values.size()), keys_);
  for (const std::string& value : values) AppendText(value, keys_);
}

void GgufWriter::AddI32s(std::string_view key, const std::vector<int32_t>& values) {
  BeginKey(key, Number(GgufType::kArray));
  Append(Number(GgufType::kI32), keys_);
  Append(static_cast<uint64_t>(values.size()), keys_);
  for (const int32_t value : values) Append(value, keys_);
}

uint64_t GgufWriter::TensorBytes(const std::vector<int64_t>& dims, BlockFormat format) {
  const BlockLayout layout = LayoutOf(format);
  FATHOM_CHECK(dims[0] % layout.elements == 0);
  auto bytes = static_cast<uint64_t>(dims[0] / layout.elements * layout.bytes);
  for (size_t i = 1; i < dims.size(); ++i) bytes *= static_cast<uint64_t>(dims[i]);
  return bytes;
}

void GgufWriter::AddTensor(std::string_view name, const std::vector<int64_t>& dims,
                           BlockFormat format) {
  AppendText(name, tensors_);
  Append(static_cast<uint32_t>(dims.size()), tensors_);
  for (const int64_t dim : dims) Append(static_cast<uint64_t>(dim), tensors_);
  Append(static_cast<uint32_t>(format), tensors_);
  Append(offset_, tensors_);
  const uint64_t bytes = TensorBytes(dims, format);
  offset_ += bytes + Padding(bytes);
  ++tensor_count_;
}

std::string GgufWriter::Header() const {
  constexpr uint32_t kVersion = 3;
  std::string header = "GGUF";
  Append(kVersion, header);
  Append(tensor_count_, header);
  Append(key_count_, header);
  header += keys_;
  header += tensors_;
  header.append(Padding(header.size()), '\0');
  return header;
}

}  // namespace fathom
