#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "base/error.h"
#include "formats/gguf_file.h"
#include "text/utf8.h"

namespace fathom {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t kLongestName = 65535;  // of a key or tensor, in bytes
constexpr int kDeepestArray = 4;

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& file)
      : bytes_(bytes), file_(std::make_shared<std::string>(file)) {}

  GgufContents Parse() {
    ReadHeader();
    GgufContents contents{GgufMetadata(*file_), {}};
    for (uint64_t i = 0; i < keys_; ++i) ReadKey(contents.metadata);
    for (uint64_t i = 0; i < tensors_; ++i) contents.tensors.push_back(ReadTensor());
    PlaceTensors(contents);
    return contents;
  }

 private:
  std::string At(uint64_t offset) const { return fmt::format("{}, byte {}", *file_, offset); }
  uint64_t Remaining() const { return bytes_.size() - position_; }

  // Moves on over `size` bytes, which have to be there.
  const std::byte* Take(uint64_t size, std::string_view what) {
    if (size > Remaining()) {
      throw Error(At(position_),
                  fmt::format("{} of {} bytes goes beyond the end of the file at {}", what, size,
                              bytes_.size()),
                  "the file is truncated or damaged");
    }
    const std::byte* data = bytes_.data() + position_;
    position_ += size;
    return data;
  }

  template <typename T>
  T Read(std::string_view what) {
    T value;
    std::memcpy(&value, Take(sizeof(T), what), sizeof(T));
    return value;
  }

  // A number of things of at least `smallest` bytes each.
  uint64_t ReadCount(std::string_view what, uint64_t smallest) {
    const uint64_t offset = position_;
    const auto count = Read<uint64_t>(what);
    if (count > Remaining() / smallest) {
      throw Error(At(offset), fmt::format("{} is {}, more than the file has room for", what, count),
                  "the file is truncated or damaged");
    }
    return count;
  }

  std::string_view ReadString(std::string_view what) {
    const uint64_t size = ReadCount(fmt::format("the length of {}", what), 1);
    return {reinterpret_cast<const char*>(Take(size, what)), size};
  }

  std::string_view ReadName(std::string_view what) {
    const uint64_t offset = position_;
    const std::string_view name = ReadString(what);
    const bool printable = std::none_of(name.begin(), name.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (name.empty() || name.size() > kLongestName || !printable || !IsValidUtf8(name)) {
      throw Error(At(offset), fmt::format("{} is empty, longer than {} bytes or not printable text",
                                          what, kLongestName));
    }
    return name;
  }

  GgufType ReadType(std::string_view key) {
    const uint64_t offset = position_;
    const auto number = Read<uint32_t>("a type");
    if (number > static_cast<uint32_t>(GgufType::kF64)) {
      throw Error(At(offset), fmt::format("key '{}' has the unknown type {}", key, number));
    }
    return static_cast<GgufType>(number);
  }

  void ReadHeader() {
    const std::byte* magic = Take(4, "the magic");
    if (std::memcmp(magic, "GGUF", 4) != 0)
      throw Error(*file_, "is not a GGUF file: it does not begin with 'GGUF'");
    const auto version = Read<uint32_t>("the version");
    if (version != 2 && version != 3) {
      const bool swapped = (version & 0xffffu) == 0;
      throw Error(
          At(4),
          swapped ? "the file is big-endian" : fmt::format("version {} is not supported", version),
          "little-endian files of version 2 and 3 are");
    }
    constexpr uint64_t kSmallestTensor = 8 + 1 + 4 + 8 + 4 + 8;
    constexpr uint64_t kSmallestKey = 8 + 1 + 4 + 1;
    tensors_ = ReadCount("the number of tensors", kSmallestTensor);
    keys_ = ReadCount("the number of keys", kSmallestKey);
  }

  // Moves on over `count` elements of an array.
  void SkipElements(std::string_view key, GgufType type, uint64_t count, int depth) {
    if (const uint64_t size = FixedSize(type); size > 0) {
      if (count > Remaining() / size) {
        throw Error(At(position_), fmt::format("key '{}': an array of {} values goes beyond the "
                                               "end of the file at {}",
                                               key, count, bytes_.size()));
      }
      Take(count * size, "an array");
    } else if (type == GgufType::kString) {
      for (uint64_t i = 0; i < count; ++i) ReadString("a string");
    } else {
      if (depth == kDeepestArray)
        throw Error(At(position_), fmt::format("key '{}': arrays are nested too deep", key));
      for (uint64_t i = 0; i < count; ++i) {
        const GgufType inner = ReadType(key);
        const uint64_t inner_count = ReadCount("the length of an array", 1);
        SkipElements(key, inner, inner_count, depth + 1);
      }
    }
  }

  void ReadKey(GgufMetadata& metadata) {
    const std::string_view key = ReadName("a key");
    const GgufType type = ReadType(key);
    GgufType element = type;
    uint64_t count = 1;
    uint64_t begin = position_;
    if (type == GgufType::kString) {
      const std::string_view text = ReadString("a string");
      begin = position_ - text.size();
    } else if (type == GgufType::kArray) {
      element = ReadType(key);
      count = ReadCount("the length of an array", 1);
      begin = position_;
      SkipElements(key, element, count, 1);
    } else {
      Take(FixedSize(type), "a value");
      if (type == GgufType::kBool && std::to_integer<int>(bytes_[begin]) > 1)
        throw Error(At(begin), fmt::format("key '{}' is neither true nor false", key));
    }
    metadata.Add(GgufValue(file_, key, type, element, count,
                           bytes_.subspan(begin, position_ - begin), begin));
  }

  // Its place in the data is still relative and unchecked: it is kept in offsets_.
  GgufTensor ReadTensor() {
    const uint64_t offset = position_;
    GgufTensor tensor;
    tensor.name = ReadName("the name of a tensor");
    tensor.where = fmt::format("{}: tensor '{}'", At(offset), tensor.name);
    const auto rank = Read<uint32_t>("a number of dimensions");
    if (rank < 1 || rank > 4)
      throw Error(tensor.where, fmt::format("{} dimensions; one to four are possible", rank));
    int64_t elements = 1;
    for (uint32_t i = 0; i < rank; ++i) {
      const auto dim = Read<uint64_t>("a dimension");
      if (dim < 1 || dim > INT64_MAX ||
          __builtin_mul_overflow(elements, static_cast<int64_t>(dim), &elements)) {
        throw Error(tensor.where, fmt::format("dimension {} of {} is not possible", i, dim));
      }
      tensor.dims.push_back(static_cast<int64_t>(dim));
    }
    const auto type = Read<uint32_t>("the type of a tensor");
    const auto format = BlockFormatOf(type);
    if (!format) {
      throw Error(tensor.where,
                  fmt::format("type {} ({}) is not supported", type, BlockTypeName(type)),
                  "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K are");
    }
    tensor.format = *format;
    const BlockLayout layout = LayoutOf(*format);
    if (tensor.dims[0] % layout.elements != 0) {
      throw Error(tensor.where, fmt::format("rows of {} are no multiple of {}'s blocks of {}",
                                            tensor.dims[0], layout.name, layout.elements));
    }
    if (__builtin_mul_overflow(static_cast<uint64_t>(elements / layout.elements),
                               static_cast<uint64_t>(layout.bytes), &tensor.bytes)) {
      throw Error(tensor.where, "its size is beyond 64 bits");
    }
    offsets_.push_back(Read<uint64_t>("the offset of a tensor"));
    return tensor;
  }

  uint64_t Alignment(const GgufMetadata& metadata) const {
    constexpr int64_t kLargest = int64_t{1} << 30;
    const GgufValue* value = metadata.Find("general.alignment");
    if (value == nullptr) return 32;
    const auto alignment = static_cast<uint64_t>(value->Int(1, kLargest));
    if (!std::has_single_bit(alignment))
      throw Error(value->where(), fmt::format("{} is not a power of two", alignment));
    return alignment;
  }

  void PlaceTensors(GgufContents& contents) {
    if (contents.tensors.empty()) return;
    const uint64_t alignment = Alignment(contents.metadata);
    const uint64_t begin = (position_ + alignment - 1) / alignment * alignment;
    const uint64_t size = begin > bytes_.size() ? 0 : bytes_.size() - begin;
    std::vector<size_t> order;
    std::set<std::string_view> names;
    for (size_t i = 0; i < contents.tensors.size(); ++i) {
      GgufTensor& tensor = contents.tensors[i];
      const uint64_t offset = offsets_[i];
      if (!names.insert(tensor.name).second)
        throw Error(tensor.where, "there is another tensor of this name");
      if (offset % alignment != 0) {
        throw Error(tensor.where, fmt::format("its offset {} is no multiple of the alignment {}",
                                              offset, alignment));
      }
      if (offset > size || tensor.bytes > size - offset) {
        throw Error(tensor.where,
                    fmt::format("{} bytes at offset {} of the data go beyond the end of the file",
                                tensor.bytes, offset),
                    "the file is truncated or damaged");
      }
      tensor.data = bytes_.data() + begin + offset;
      order.push_back(i);
    }
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return offsets_[a] < offsets_[b]; });
    for (size_t i = 1; i < order.size(); ++i) {
      const GgufTensor& before = contents.tensors[order[i - 1]];
      const GgufTensor& tensor = contents.tensors[order[i]];
      if (offsets_[order[i]] - offsets_[order[i - 1]] < before.bytes)
        throw Error(tensor.where, fmt::format("it overlaps tensor '{}'", before.name));
    }
  }

  std::span<const std::byte> bytes_;
  std::shared_ptr<const std::string> file_;
  uint64_t position_ = 0;
  uint64_t tensors_ = 0, keys_ = 0;
  std::vector<uint64_t> offsets_;  // of the tensors, from the start of the data
};

}  // namespace

GgufContents ParseGguf(std::span<const std::byte> bytes, const std::string& file) {
  return Parser(bytes, file).Parse();
}

}  // namespace fathom
