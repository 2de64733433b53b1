#include "formats/safetensors_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/progress.h"
#include "formats/safetensors_header.h"
#include "tensor/stored_tensor.h"

namespace fathom {
namespace {

int64_t ElementBytes(const SafetensorsDeclaration& tensor) {
  const SafetensorsType* type = FindSafetensorsType(tensor.type);
  FATHOM_CHECK(type != nullptr, "type {}", tensor.type);
  return type->bytes;
}

}  // namespace

uint64_t SafetensorsDeclaration::bytes() const {
  uint64_t product = static_cast<uint64_t>(ElementBytes(*this));
  for (const int64_t dim : shape) product *= static_cast<uint64_t>(dim);
  return product;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     const std::vector<SafetensorsDeclaration>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), ranges_(tensors.size()) {
  // Wide elements first, so that every tensor starts at a multiple of its element's size.
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return ElementBytes(tensors[a]) > ElementBytes(tensors[b]);
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const size_t i : order) {
    const SafetensorsDeclaration& tensor = tensors[i];
    const uint64_t end = offset + tensor.bytes();
    // push_back: names are different, and a search for each of 100,000 would take minutes.
    header.get_ref<nlohmann::ordered_json::object_t&>().push_back(
        {tensor.name,
         {{"dtype", tensor.type}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}}});
    ranges_[i] = {offset, end};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts aligned
  const uint64_t length = text.size();
  file_.Write(&length, sizeof(length));
  file_.Write(text);
  for (Range& range : ranges_) {
    range.next += sizeof(length) + length;
    range.end += sizeof(length) + length;
  }
}

void SafetensorsWriter::Append(size_t tensor, const void* data, size_t size) {
  Range& range = ranges_.at(tensor);
  FATHOM_CHECK(size <= range.end - range.next, "tensor {} gets too many bytes", tensor);
  file_.WriteAt(range.next, data, size);
  range.next += size;
}

void SafetensorsWriter::Commit() {
  for (const Range& range : ranges_) FATHOM_CHECK(range.next == range.end, "bytes are missing");
  file_.Commit();
}

void ForEachPiece(ConstTensor value, DType type,
                  FunctionRef<void(const void* data, size_t size)> use) {
  FATHOM_CHECK(value.contiguous());
  const int64_t count = value.elements();
  constexpr int64_t kPiece = int64_t{1} << 20;
  const ConstTensor flat = value.Reshape(Shape({count}));
  std::vector<std::byte> buffer;
  for (int64_t begin = 0; begin < count; begin += kPiece) {
    const int64_t end = std::min(count, begin + kPiece);
    const ConstTensor piece = flat.Rows(begin, end);
    if (value.dtype() == type) {
      use(piece.raw(), static_cast<size_t>(piece.bytes()));
      continue;
    }
    buffer.resize(static_cast<size_t>(end - begin) * SizeOf(type));
    ConvertElements(piece, Tensor(buffer.data(), type, Shape({end - begin})));
    use(buffer.data(), buffer.size());
  }
}

SafetensorsDeclaration SafetensorsItem::Declare() const {
  SafetensorsDeclaration declaration{name, std::string(SafetensorsTypeName(type)), {}};
  for (int i = 0; i < value.rank(); ++i) declaration.shape.push_back(value.dim(i));
  return declaration;
}

void ForEachPiece(const std::vector<SafetensorsItem>& items, const std::string& title, bool quiet,
                  FunctionRef<void(size_t index, const void* data, size_t size)> use) {
  double total = 0, done = 0;
  for (const SafetensorsItem& item : items) total += static_cast<double>(item.Declare().bytes());
  Progress progress(title, "bytes", total, quiet);
  for (size_t i = 0; i < items.size(); ++i) {
    ForEachPiece(items[i].value, items[i].type, [&](const void* data, size_t size) {
      use(i, data, size);
      progress.Update(done += static_cast<double>(size));
    });
  }
}

void WriteSafetensors(const std::filesystem::path& path, const std::vector<SafetensorsItem>& items,
                      const std::map<std::string, std::string>& metadata, bool quiet) {
  std::vector<SafetensorsDeclaration> tensors;
  for (const SafetensorsItem& item : items) tensors.push_back(item.Declare());
  SafetensorsWriter writer(path, tensors, metadata);
  ForEachPiece(
      items, fmt::format("writing {}", path.filename().string()), quiet,
      [&](size_t index, const void* data, size_t size) { writer.Append(index, data, size); });
  writer.Commit();
}

}  // namespace fathom
