#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// The types of metadata in GGUF files, by their numbers there.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// Bytes of a value of fixed size; 0 for strings, arrays and what is no type.
uint64_t FixedSize(GgufType type);

// A metadata value where it lies in the bytes of a file, which have to outlive it; the parser has
// checked that it lies in them whole. Accessors throw Error with file, key and byte offset when the
// value is not of the kind that is asked for.
class GgufValue {
 public:
  // data: of a scalar its bytes, of a string its characters, of an array its elements. offset: of
  // data in the file.
  GgufValue(std::shared_ptr<const std::string> file, std::string_view key, GgufType type,
            GgufType element, uint64_t count, std::span<const std::byte> data, uint64_t offset)
      : file_(std::move(file)),
        key_(key),
        type_(type),
        element_(element),
        count_(count),
        data_(data),
        offset_(offset) {}

  std::string_view key() const { return key_; }
  GgufType type() const { return type_; }
  // Of an array.
  GgufType element_type() const { return element_; }
  uint64_t count() const { return count_; }

  // "model.gguf, byte 24: key 'general.name'"
  std::string where() const;

  // Any integer type; Error when it is outside [low, high].
  int64_t Int(int64_t low, int64_t high) const;
  // Finite: f32, f64 or any integer. An f32 is given as the shortest decimal that means it, so that
  // 1e-6 in f32 is 1e-6 again.
  double Number() const;
  bool Bool() const;
  // Valid UTF-8.
  std::string_view String() const;
  // Arrays; the strings are valid UTF-8.
  std::vector<std::string_view> Strings() const;
  std::vector<int64_t> Ints() const;

 private:
  [[noreturn]] void WrongKind(std::string_view expected) const;
  std::string_view Text(uint64_t begin, uint64_t size) const;

  std::shared_ptr<const std::string> file_;
  std::string_view key_;
  GgufType type_, element_;
  uint64_t count_;
  std::span<const std::byte> data_;
  uint64_t offset_;
};

}  // namespace fathom
