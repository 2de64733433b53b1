#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "formats/safetensors_writer.h"
#include "tensor/stored_tensor.h"

namespace fathom::test {
namespace {

// A file as the format describes it: the header's length, little-endian, the header, the data.
std::string FileOf(const std::string& header, const std::string& data) {
  std::string file;
  for (int i = 0; i < 8; ++i)
    file += static_cast<char>((static_cast<uint64_t>(header.size()) >> (8 * i)) & 0xFF);
  return file + header + data;
}

// Padded with spaces, as writers do, so that the data is aligned.
std::string Aligned(std::string header) {
  while (header.size() % 8 != 0) header += ' ';
  return header;
}

std::string BytesOf(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

class SafetensorsTest : public testing::Test {
 protected:
  std::filesystem::path Put(const std::string& content) {
    const auto path = directory_ / ("file-" + std::to_string(count_++));
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  // A file of this header and eight bytes of data.
  std::filesystem::path PutHeader(const std::string& header) {
    return Put(FileOf(header, std::string(8, '\0')));
  }

  TemporaryDirectory directory_;
  int count_ = 0;
};

TEST_F(SafetensorsTest, ReadsAHandWrittenFile) {
  const std::string header =
      Aligned(R"({"__metadata__":{"format":"pt"},)"
              R"("b":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},)"
              R"("a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},)"
              R"("empty":{"dtype":"F32","shape":[0,3],"data_offsets":[24,24]},)"
              R"("scalar":{"dtype":"F32","shape":[],"data_offsets":[24,28]}})");
  // bf16 is the upper half of an f32: 1.0 = 0x3F80, -2.0 = 0xC000, 0.5 = 0x3F00, 0.
  const std::string bf16("\x80\x3F\x00\xC0\x00\x3F\x00\x00", 8);
  const SafetensorsFile file(Put(FileOf(header, bf16 + BytesOf({1.5F, -2, 3, 1e-30F, 42}))));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  ASSERT_EQ(file.entries().size(), 4U);
  const ConstTensor b = file.Get("b");
  EXPECT_EQ(b.shape(), Shape({2, 2}));
  EXPECT_EQ(b.dtype(), DType::kF32);
  EXPECT_EQ(std::vector<float>(b.span<float>().begin(), b.span<float>().end()),
            (std::vector<float>{1.5F, -2, 3, 1e-30F}));
  const ConstTensor a = file.Get("a");
  EXPECT_EQ(a.dtype(), DType::kBF16);
  EXPECT_EQ(static_cast<float>(a.span<BF16>()[0]), 1.0F);
  EXPECT_EQ(static_cast<float>(a.span<BF16>()[1]), -2.0F);
  EXPECT_EQ(static_cast<float>(a.span<BF16>()[2]), 0.5F);
  EXPECT_EQ(file.Get("empty").elements(), 0);
  EXPECT_ERROR(file.Get("c"), "has no tensor 'c'");
}

TEST_F(SafetensorsTest, EveryTruncationIsAnError) {
  const std::string header = Aligned(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})");
  const std::string whole = FileOf(header, BytesOf({1, 2, 3}));
  EXPECT_NO_THROW(SafetensorsFile{Put(whole)});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(SafetensorsFile{Put(whole.substr(0, size))}, Error) << size << " bytes";
  }
  EXPECT_ERROR(SafetensorsFile{Put(whole.substr(0, 7))}, "7 bytes long");
  EXPECT_ERROR(SafetensorsFile{Put(whole.substr(0, 20))}, "header should be");
  EXPECT_ERROR(SafetensorsFile{Put(whole.substr(0, whole.size() - 1))}, "truncated");
}

TEST_F(SafetensorsTest, AHeaderLengthThatCannotBeIsAnError) {
  const std::string header = "{}";
  for (const uint64_t length :
       {uint64_t{3}, uint64_t{100'000'001}, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    std::string file = FileOf(header, "");
    std::memcpy(file.data(), &length, sizeof(length));
    EXPECT_ERROR(SafetensorsFile{Put(file)}, "header should be");
  }
  EXPECT_THROW(SafetensorsFile{directory_ / "missing"}, Error);
  EXPECT_THROW(SafetensorsFile{directory_.path()}, Error);
}

TEST_F(SafetensorsTest, MalformedHeadersAreErrors) {
  const auto tensor = [](const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  EXPECT_NO_THROW(SafetensorsFile{PutHeader(tensor("\"F32\"", "[2]", "[0,8]"))});
  const std::pair<std::string, const char*> wrong[] = {
      {"", "JSON"},
      {"not json", "JSON"},
      {R"({"a":)", "JSON"},
      {std::string(2000, '['), "JSON"},
      {"\xFF\xFE{}", "JSON"},
      {"[]", "expected an object"},
      {R"({"a":3})", "expected an object"},
      {R"({"a":{}})", "'dtype' is missing"},
      {tensor("7", "[2]", "[0,8]"), "expected a string"},
      {tensor("\"F33\"", "[2]", "[0,8]"), "type 'F33' is not known"},
      {tensor("\"F32\"", "2", "[0,8]"), "expected an array"},
      {tensor("\"F32\"", "[2.5]", "[0,8]"), "expected an integer"},
      {tensor("\"F32\"", "[\"2\"]", "[0,8]"), "expected an integer"},
      {tensor("\"F32\"", "[-2]", "[0,8]"), "shape"},
      {tensor("\"F32\"", "[-2,-1]", "[0,8]"), "shape"},
      {tensor("\"F32\"", "[3]", "[0,8]"), "shape"},
      {tensor("\"BF16\"", "[2]", "[0,8]"), "shape"},
      // 2^62 x 4 x 4 is 0 in 64 bits, 2^63 + 2 elements wrap to 8 bytes.
      {tensor("\"F32\"", "[4611686018427387904,4]", "[0,0]"), "shape"},
      {tensor("\"F32\"", "[4611686018427387905,2]", "[0,8]"), "shape"},
      {tensor("\"F32\"", "[9223372036854775807]", "[0,8]"), "shape"},
      {tensor("\"F32\"", "[18446744073709551618]", "[0,8]"), "JSON"},
      {tensor("\"F32\"", "[2]", "[0]"), "data_offsets"},
      {tensor("\"F32\"", "[2]", "[0,8,8]"), "data_offsets"},
      {tensor("\"F32\"", "[2]", "[8,0]"), "data_offsets"},
      {tensor("\"F32\"", "[2]", "[-8,0]"), "data_offsets"},
      {tensor("\"F32\"", "[2]", "[0,-8]"), "data_offsets"},
      {tensor("\"F32\"", "[2]", "[1,9]"), "ends at byte 9 of 8"},
      {tensor("\"F32\"", "[2]", "[9223372036854775799,9223372036854775807]"), "ends at byte"},
      {R"({"__metadata__":{"format":1}})", "expected a string"},
      {R"({"__metadata__":"pt"})", "expected an object"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "tensor 'b' and another overlap at byte 4"},
      // Bytes that no tensor has: before the first, between two, after the last.
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "bytes 0 to 4"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "bytes 1 to 4 of the data belong to no tensor; 'b' follows"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "bytes 4 to 8"},
      {"{}", "bytes 0 to 8"},
      // A dimension of 0 among others that cannot be.
      {tensor("\"F32\"", "[0,4611686018427387904,4]", "[0,0]"), "shape"},
      {tensor("\"F32\"", "[0,-1]", "[0,0]"), "shape"},
      // Numbers that no integer is, or none of 64 bits.
      {tensor("\"F32\"", "[1e30]", "[0,8]"), "header: a.shape[0]: expected an integer"},
      {tensor("\"F32\"", "[2]", "[0,1e30]"), "header: a.data_offsets[1]: expected an integer"},
      {tensor("\"F32\"", "[2]", "[0,9007199254740993]"), "ends at byte 9007199254740993"},
      {tensor("\"F32\"", "[2]", "[0,9223372036854775808]"), "expected an integer"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "twice"},
  };
  for (const auto& [header, message] : wrong) {
    SCOPED_TRACE(header.substr(0, 100));
    EXPECT_ERROR(SafetensorsFile{PutHeader(header)}, message);
  }
}

TEST_F(SafetensorsTest, WhatCannotBeComputedWithIsAnErrorOnlyWhenItIsAskedFor) {
  const SafetensorsFile file(
      PutHeader(R"({"half":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},)"
                R"("deep":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[4,8]}})"));
  EXPECT_EQ(file.entries().size(), 2U);
  EXPECT_ERROR(file.Get("half"), "type F16 is not supported");
  EXPECT_ERROR(file.Get("deep"), "5 dimensions");
  std::string ones = "1";
  for (int i = 1; i < 100; ++i) ones += ",1";
  const SafetensorsFile deeper(
      PutHeader(R"({"a":{"dtype":"F64","shape":[)" + ones + R"(],"data_offsets":[0,8]}})"));
  EXPECT_ERROR(deeper.Get("a"), "100 dimensions");
}

TEST_F(SafetensorsTest, DataThatIsNotAlignedIsAnError) {
  std::string header = Aligned(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})");
  header += ' ';
  const SafetensorsFile file(PutHeader(header));
  EXPECT_ERROR(file.Get("a"), "not a multiple of 4");
}

TEST_F(SafetensorsTest, WritingAndReadingKeepsEveryBit) {
  // Values whose bf16 is exact, and f32 of all kinds.
  const std::vector<float> f32 = {0, -0.0F, 1.0F / 3, 1e-45F, 3.4e38F, -7};
  const std::vector<float> exact = {1, -2.5F, 0.15625F};  // an odd number: x.c has to stay aligned
  const ConstTensor a(f32.data(), DType::kF32, Shape({2, 3}));
  const ConstTensor b(exact.data(), DType::kF32, Shape({3}));
  const auto path = directory_ / "out.safetensors";
  WriteSafetensors(path,
                   {{"x.a", a, DType::kF32}, {"x.b", b, DType::kBF16}, {"x.c", b, DType::kF32}},
                   {{"format", "pt"}, {"note", "a \"quoted\" ö"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("note"), "a \"quoted\" ö");
  EXPECT_EQ(file.Get("x.a").shape(), Shape({2, 3}));
  EXPECT_EQ(std::memcmp(file.Get("x.a").raw(), f32.data(), f32.size() * 4), 0);
  ASSERT_EQ(file.Get("x.b").dtype(), DType::kBF16);
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(static_cast<float>(file.Get("x.b").span<BF16>()[i]), exact[i]);
    EXPECT_EQ(file.Get("x.c").span<float>()[i], exact[i]);
  }
}

TEST_F(SafetensorsTest, ConversionToBf16RoundsToNearestEven) {
  // Between 1 (0x3F80) and the next bf16, 1 + 2^-7: the middle goes to the even one, 1; above it
  // up.
  const std::vector<float> from = {1 + 1.0F / 256, 1 + 1.0F / 256 + 1.0F / 65536, 1 + 3.0F / 256};
  std::vector<BF16> to(3);
  ConvertElements(ConstTensor(from.data(), DType::kF32, Shape({3})),
                  Tensor(to.data(), DType::kBF16, Shape({3})));
  EXPECT_EQ(static_cast<float>(to[0]), 1.0F);
  EXPECT_EQ(static_cast<float>(to[1]), 1 + 1.0F / 128);
  EXPECT_EQ(static_cast<float>(to[2]), 1 + 2.0F / 128);
}

}  // namespace
}  // namespace fathom::test
