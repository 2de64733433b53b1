#include "hub/checksum.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

std::string Hex(Checksum::Kind kind, std::string_view content) {
  ChecksumStream stream(kind, static_cast<int64_t>(content.size()));
  // In two pieces.
  stream.Update(content.data(), content.size() / 2);
  stream.Update(content.data() + content.size() / 2, content.size() - content.size() / 2);
  return stream.Finish().hex;
}

// FIPS 180-2, appendix B.1.
TEST(ChecksumTest, LargeFilesHaveSha256) {
  EXPECT_EQ(Hex(Checksum::Kind::kSha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// `printf 'hello\n' | git hash-object --stdin`, and of nothing.
TEST(ChecksumTest, SmallFilesHaveTheirGitBlob) {
  EXPECT_EQ(Hex(Checksum::Kind::kGitBlob, "hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(Hex(Checksum::Kind::kGitBlob, ""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST(ChecksumTest, TextFormIsReadBackAndNothingElse) {
  const Checksum checksum(Checksum::Kind::kGitBlob, "CE013625030BA8DBA906F756967F9E9CA394464A", "");
  EXPECT_EQ(checksum.ToString(), "git:ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(Checksum::Parse(checksum.ToString(), ""), checksum);
  EXPECT_ERROR(Checksum::Parse("md5:00", "record"), "record");
  EXPECT_ERROR(Checksum(Checksum::Kind::kSha256, "12", "list"), "64 hexadecimal digits");
  EXPECT_ERROR(Checksum(Checksum::Kind::kGitBlob, std::string(40, 'g'), "list"), "40 hexadecimal");
}

}  // namespace
}  // namespace fathom
