#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "formats/gguf_file.h"
#include "formats/gguf_writer.h"

namespace fathom::test {
namespace {

// Bytes of a GGUF file put together by hand, so that they can lie.
class Bytes {
 public:
  template <typename T>
  Bytes& Put(T value) {
    const auto* data = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), data, data + sizeof(value));
    return *this;
  }
  Bytes& Text(std::string_view text) {
    Put(static_cast<uint64_t>(text.size()));
    return Raw(text);
  }
  Bytes& Raw(std::string_view text) {
    for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Bytes& Header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    return Raw("GGUF").Put(version).Put(tensors).Put(keys);
  }
  Bytes& Key(std::string_view name, uint32_t type) { return Text(name).Put(type); }
  Bytes& Tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type,
                uint64_t offset) {
    Text(name).Put(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) Put(dim);
    return Put(type).Put(offset);
  }
  // Data after the header.
  Bytes& Data(size_t size) {
    bytes_.resize((bytes_.size() + 31) / 32 * 32 + size);
    return *this;
  }

  GgufContents Parse() const { return ParseGguf(bytes_, "x.gguf"); }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

constexpr uint32_t kU8 = 0, kU32 = 4, kF32 = 6, kBool = 7, kString = 8, kArray = 9, kU64 = 10;
constexpr uint32_t kTensorF32 = 0, kTensorQ8 = 8, kTensorQ4K = 12;

TEST(GgufParserTest, ReadsEveryKindOfValue) {
  Bytes bytes;
  bytes.Header(0, 15, 2);
  bytes.Key("u8", kU8).Put(uint8_t{200});
  bytes.Key("i8", 1).Put(int8_t{-5});
  bytes.Key("u16", 2).Put(uint16_t{65535});
  bytes.Key("i16", 3).Put(int16_t{-300});
  bytes.Key("u32", kU32).Put(uint32_t{4000000000});
  bytes.Key("i32", 5).Put(int32_t{-70000});
  bytes.Key("f32", kF32).Put(1e-6F);
  bytes.Key("bool", kBool).Put(uint8_t{1});
  bytes.Key("text", kString).Text("héllo");
  bytes.Key("u64", kU64).Put(uint64_t{1} << 40);
  bytes.Key("i64", 11).Put(int64_t{-7});
  bytes.Key("f64", 12).Put(0.25);
  bytes.Key("strings", kArray).Put(kString).Put(uint64_t{2}).Text("a").Text("");
  bytes.Key("ints", kArray).Put(uint32_t{3}).Put(uint64_t{2}).Put(int16_t{-1}).Put(int16_t{9});
  bytes.Key("nested", kArray)
      .Put(kArray)
      .Put(uint64_t{1})
      .Put(kU8)
      .Put(uint64_t{1})
      .Put(uint8_t{3});
  const GgufContents contents = bytes.Parse();
  const GgufMetadata& metadata = contents.metadata;
  const auto number = [&](const char* key) { return metadata.At(key).Int(INT64_MIN, INT64_MAX); };
  EXPECT_EQ(number("u8"), 200);
  EXPECT_EQ(number("i8"), -5);
  EXPECT_EQ(number("u16"), 65535);
  EXPECT_EQ(number("i16"), -300);
  EXPECT_EQ(number("u32"), 4000000000);
  EXPECT_EQ(number("i32"), -70000);
  EXPECT_EQ(number("u64"), int64_t{1} << 40);
  EXPECT_EQ(number("i64"), -7);
  EXPECT_EQ(metadata.At("f32").Number(), 1e-6);  // not 9.99999997e-7
  EXPECT_EQ(metadata.At("f64").Number(), 0.25);
  EXPECT_EQ(metadata.At("i16").Number(), -300);
  EXPECT_TRUE(metadata.At("bool").Bool());
  EXPECT_EQ(metadata.At("text").String(), "héllo");
  EXPECT_EQ(metadata.At("strings").Strings(), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(metadata.At("ints").Ints(), (std::vector<int64_t>{-1, 9}));
  EXPECT_EQ(metadata.At("nested").count(), 1U);
  EXPECT_EQ(metadata.Find("absent"), nullptr);
  EXPECT_ERROR(metadata.At("absent"), "x.gguf: key 'absent' is missing");
}

TEST(GgufParserTest, AskingForAnotherKindNamesKeyAndByte) {
  Bytes bytes;
  bytes.Header(0, 4);
  bytes.Key("n", kU32).Put(uint32_t{70});
  bytes.Key("nan", kF32).Put(std::numeric_limits<float>::quiet_NaN());
  bytes.Key("bad", kString).Text("\xff\xfe");
  bytes.Key("words", kArray).Put(kString).Put(uint64_t{1}).Text("\xc3");
  const GgufContents contents = bytes.Parse();
  // 24 bytes of header, then the key's length, name and type.
  EXPECT_ERROR(contents.metadata.At("n").String(), "x.gguf, byte 37: key 'n': is not a string");
  EXPECT_ERROR(contents.metadata.At("n").Int(0, 69), "70 is out of range [0, 69]");
  EXPECT_ERROR(contents.metadata.At("nan").Number(), "is not a finite number");
  EXPECT_ERROR(contents.metadata.At("n").Bool(), "is not true or false");
  EXPECT_ERROR(contents.metadata.At("n").Strings(), "is not an array of strings");
  EXPECT_ERROR(contents.metadata.At("bad").String(), "is not UTF-8");
  EXPECT_ERROR(contents.metadata.At("words").Strings(), "is not UTF-8");
  EXPECT_ERROR(contents.metadata.At("words").Ints(), "is not an array of whole numbers");
}

TEST(GgufParserTest, ReadsTensorsWhereTheyLie) {
  Bytes bytes;
  bytes.Header(2, 1).Key("general.alignment", kU32).Put(uint32_t{64});
  bytes.Tensor("b", {32, 2}, kTensorQ8, 64).Tensor("a", {3}, kTensorF32, 0);
  const size_t begin = (bytes.bytes().size() + 63) / 64 * 64;
  bytes.Data(0);
  std::vector<std::byte> file = bytes.bytes();
  file.resize(begin + 64 + 68);
  const GgufContents contents = ParseGguf(file, "x.gguf");
  ASSERT_EQ(contents.tensors.size(), 2U);
  EXPECT_EQ(contents.tensors[0].name, "b");
  EXPECT_EQ(contents.tensors[0].bytes, 68U);
  EXPECT_EQ(contents.tensors[0].data, file.data() + begin + 64);
  EXPECT_EQ(contents.tensors[1].dims, std::vector<int64_t>{3});
  EXPECT_EQ(contents.tensors[1].data, file.data() + begin);
}

TEST(GgufParserTest, EveryTruncationIsAnError) {
  Bytes bytes;
  bytes.Header(1, 2).Key("k", kArray).Put(kString).Put(uint64_t{1}).Text("abc");
  bytes.Key("n", kU32).Put(uint32_t{7});
  bytes.Tensor("t", {4}, kTensorF32, 0).Data(16);
  const std::vector<std::byte>& whole = bytes.bytes();
  EXPECT_EQ(ParseGguf(whole, "x").tensors.size(), 1U);
  for (size_t size = 0; size < whole.size(); ++size) {
    // A buffer of exactly that size: reading beyond it is found by the sanitizers.
    const std::vector<std::byte> part(whole.begin(),
                                      whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_ERROR(ParseGguf(part, "x"), "x");
  }
}

TEST(GgufParserTest, OtherFilesAndVersions) {
  EXPECT_ERROR(Bytes().Raw("not a model at all").Parse(), "does not begin with 'GGUF'");
  EXPECT_ERROR(Bytes().Header(0, 0, 1).Parse(), "byte 4: version 1 is not supported");
  EXPECT_ERROR(Bytes().Header(0, 0, 4).Parse(), "version 4 is not supported");
  EXPECT_ERROR(Bytes().Header(0, 0, 0x03000000).Parse(), "big-endian");
}

TEST(GgufParserTest, CountsBeyondTheFileAreRefusedBeforeAnythingIsAllocated) {
  for (const uint64_t count : {uint64_t{1} << 20, uint64_t{1} << 62, UINT64_MAX}) {
    EXPECT_ERROR(Bytes().Header(count, 0).Parse(), "byte 8: the number of tensors");
    EXPECT_ERROR(Bytes().Header(0, count).Parse(), "byte 16: the number of keys");
    EXPECT_ERROR(Bytes().Header(0, 1).Put(count).Data(64).Parse(), "the length of a key");
    EXPECT_ERROR(Bytes().Header(0, 1).Key("k", kString).Put(count).Data(64).Parse(), "byte 37");
    for (const uint32_t type : {kU8, kU32, kU64, kString, kArray}) {
      EXPECT_ERROR(Bytes().Header(0, 1).Key("k", kArray).Put(type).Put(count).Data(64).Parse(),
                   "x.gguf, byte");
    }
  }
  // A count that fits with elements that do not: 16 numbers of 8 bytes in 64.
  EXPECT_ERROR(Bytes().Header(0, 1).Key("k", kArray).Put(kU64).Put(uint64_t{16}).Data(64).Parse(),
               "goes beyond the end");
}

TEST(GgufParserTest, KeysThatLie) {
  EXPECT_ERROR(Bytes().Header(0, 1).Key("k", 13).Data(64).Parse(), "unknown type 13");
  EXPECT_ERROR(Bytes().Header(0, 1).Key("k", kBool).Put(uint8_t{2}).Data(64).Parse(),
               "neither true nor false");
  EXPECT_ERROR(Bytes().Header(0, 1).Key("", kU8).Data(64).Parse(), "is empty");
  EXPECT_ERROR(Bytes().Header(0, 1).Key("\xff", kU8).Data(64).Parse(), "not printable");
  EXPECT_ERROR(Bytes().Header(0, 1).Key("a\x1b[2J", kU8).Data(64).Parse(), "not printable");
  EXPECT_ERROR(Bytes()
                   .Header(0, 2)
                   .Key("k", kU8)
                   .Put(uint8_t{1})
                   .Key("k", kU8)
                   .Put(uint8_t{1})
                   .Data(64)
                   .Parse(),
               "the key occurs twice");
  Bytes deep;
  deep.Header(0, 1).Key("k", kArray);
  for (int i = 0; i < 100; ++i) deep.Put(kArray).Put(uint64_t{1});
  EXPECT_ERROR(deep.Data(64).Parse(), "nested too deep");
}

TEST(GgufParserTest, TensorsThatLie) {
  const auto one = [](const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    return Bytes().Header(1, 0).Tensor("t", dims, type, offset).Data(256).Parse();
  };
  EXPECT_EQ(one({64}, kTensorF32, 0).tensors.size(), 1U);
  EXPECT_ERROR(one({}, kTensorF32, 0), "x.gguf, byte 24: tensor 't': 0 dimensions");
  EXPECT_ERROR(one({1, 1, 1, 1, 1}, kTensorF32, 0), "5 dimensions");
  EXPECT_ERROR(one({0}, kTensorF32, 0), "dimension 0 of 0");
  EXPECT_ERROR(one({UINT64_MAX}, kTensorF32, 0), "is not possible");
  // Products that overflow, to zero too.
  EXPECT_ERROR(one({uint64_t{1} << 32, uint64_t{1} << 32}, kTensorF32, 0), "is not possible");
  EXPECT_ERROR(one({uint64_t{1} << 31, uint64_t{1} << 31, 4}, kTensorF32, 0), "is not possible");
  EXPECT_ERROR(one({uint64_t{1} << 62}, kTensorF32, 0), "beyond 64 bits");
  EXPECT_ERROR(one({65}, kTensorF32, 0), "go beyond the end of the file");
  EXPECT_ERROR(one({64}, kTensorF32, 32), "go beyond the end of the file");
  EXPECT_ERROR(one({1}, kTensorF32, UINT64_MAX - 31), "go beyond the end of the file");
  EXPECT_ERROR(one({1}, kTensorF32, 16), "offset 16 is no multiple of the alignment 32");
  EXPECT_ERROR(one({33}, kTensorQ8, 0), "no multiple of Q8_0's blocks of 32");
  EXPECT_ERROR(one({128, 2}, kTensorQ4K, 0), "no multiple of Q4_K's blocks of 256");
  EXPECT_ERROR(one({256}, 10, 0), "type 10 (Q2_K) is not supported");
  EXPECT_ERROR(one({256}, 12345, 0), "type 12345 (unknown) is not supported");
}

TEST(GgufParserTest, TensorsThatClash) {
  const auto two = [](std::string_view name, uint64_t offset) {
    return Bytes()
        .Header(2, 0)
        .Tensor("a", {16}, kTensorF32, 32)
        .Tensor(name, {16}, kTensorF32, offset)
        .Data(512)
        .Parse();
  };
  EXPECT_EQ(two("b", 96).tensors.size(), 2U);
  EXPECT_ERROR(two("a", 96), "another tensor of this name");
  EXPECT_ERROR(two("b", 64), "overlaps tensor 'a'");
  EXPECT_ERROR(two("b", 32), "overlaps tensor");
  EXPECT_ERROR(two("b", 0), "overlaps tensor 'b'");
}

TEST(GgufParserTest, AlignmentsThatLie) {
  const auto aligned = [](uint32_t alignment) {
    Bytes bytes;
    bytes.Header(1, 1).Key("general.alignment", kU32).Put(alignment);
    return bytes.Tensor("t", {1}, kTensorF32, 0).Data(64).Parse();
  };
  EXPECT_EQ(aligned(1).tensors.size(), 1U);
  EXPECT_ERROR(aligned(0), "key 'general.alignment': 0 is out of range");
  EXPECT_ERROR(aligned(24), "24 is not a power of two");
  EXPECT_ERROR(aligned(uint32_t{1} << 30), "go beyond the end of the file");
  EXPECT_ERROR(aligned(UINT32_MAX), "out of range");
}

// Three files of one tensor each.
class SplitGgufTest : public testing::Test {
 protected:
  void Write(const std::string& name, int64_t number, int64_t count, const std::string& tensor) {
    GgufWriter writer;
    writer.AddU32("split.no", number);
    writer.AddU32("split.count", count);
    if (number == 0) writer.AddI32("split.tensors.count", 3);
    writer.AddTensor(tensor, {8}, BlockFormat::kF32);
    const std::vector<float> data(8, static_cast<float>(number));
    std::string bytes = writer.Header();
    bytes.append(reinterpret_cast<const char*>(data.data()), 32);
    WriteFileAtomically(directory_ / name, bytes);
  }
  void SetUp() override {
    Write("m-00001-of-00003.gguf", 0, 3, "a");
    Write("m-00002-of-00003.gguf", 1, 3, "b");
    Write("m-00003-of-00003.gguf", 2, 3, "c");
  }

  TemporaryDirectory directory_;
};

TEST_F(SplitGgufTest, IsOneModelOpenedByItsFirstFile) {
  const GgufFile file(directory_ / "m-00001-of-00003.gguf");
  ASSERT_EQ(file.tensors().size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    float value = -1;
    DecodeBlocks(BlockFormat::kF32, file.tensors()[i].data, 0, 1, &value);
    EXPECT_EQ(value, static_cast<float>(i));
  }
}

TEST_F(SplitGgufTest, PartsThatDoNotBelongTogetherAreRefused) {
  EXPECT_ERROR(GgufFile(directory_ / "m-00002-of-00003.gguf"), "give the first");
  std::filesystem::copy_file(directory_ / "m-00001-of-00003.gguf", directory_ / "other.gguf");
  EXPECT_ERROR(GgufFile(directory_ / "other.gguf"), "has to be named ...-00001-of-00003.gguf");
  Write("m-00003-of-00003.gguf", 2, 3, "b");
  EXPECT_ERROR(GgufFile(directory_ / "m-00001-of-00003.gguf"), "another file of the split");
  Write("m-00003-of-00003.gguf", 1, 3, "c");
  EXPECT_ERROR(GgufFile(directory_ / "m-00001-of-00003.gguf"), "split.no");
  std::filesystem::remove(directory_ / "m-00003-of-00003.gguf");
  EXPECT_ERROR(GgufFile(directory_ / "m-00001-of-00003.gguf"), "m-00003-of-00003.gguf");
}

}  // namespace
}  // namespace fathom::test
