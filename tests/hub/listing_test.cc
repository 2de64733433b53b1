#include "hub/listing.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "hub/file_selection.h"

namespace fathom {
namespace {

using nlohmann::json;

const std::string kSha1(40, 'a'), kSha256(64, 'b');

json Small(const std::string& name) {
  return {{"rfilename", name}, {"size", 3}, {"blobId", kSha1}};
}

json Large(const std::string& name) {
  json file = Small(name);
  file["lfs"] = {{"sha256", kSha256}, {"size", 5'000'000'000}, {"pointerSize", 135}};
  return file;
}

std::string Text(const std::vector<json>& files) {
  return json{{"sha", kSha1}, {"siblings", files}}.dump();
}

HubListing Parse(const std::vector<json>& files) { return ParseListing(Text(files), "list"); }

TEST(ListingTest, LargeFilesAreKnownBySha256OthersByTheirBlob) {
  const HubListing listing = Parse({Small("config.json"), Large("sub/model.safetensors")});
  EXPECT_EQ(listing.commit, kSha1);
  ASSERT_EQ(listing.files.size(), 2u);
  EXPECT_EQ(listing.files[0].name, "config.json");
  EXPECT_EQ(listing.files[0].size, 3);
  EXPECT_EQ(listing.files[0].checksum.ToString(), "git:" + kSha1);
  EXPECT_EQ(listing.files[1].name, "sub/model.safetensors");
  EXPECT_EQ(listing.files[1].size, 5'000'000'000);
  EXPECT_EQ(listing.files[1].checksum.ToString(), "sha256:" + kSha256);
  EXPECT_EQ(listing.bytes(), 5'000'000'003);
}

TEST(ListingTest, NamesThatLeaveTheDirectoryAreRefused) {
  for (const char* name : {"/etc/passwd", "../config.json", "a/../../b", "a/..", "..", ".", "a//b",
                           "a/./b", "a/", "", ".git/hooks/post-checkout", "a/.git/config"}) {
    EXPECT_ERROR(Parse({Small("config.json"), Small(name)}), "siblings[1].rfilename");
  }
  EXPECT_ERROR(Parse({Small("a\nb")}), "control characters");
  EXPECT_ERROR(Parse({Small(std::string("a\0b", 3))}), "control characters");
  EXPECT_ERROR(Parse({Small("a\x1b[2Jb")}), "control characters");
  // Odd, and harmless.
  EXPECT_EQ(Parse({Small("..a/b..c/...")}).files.size(), 1u);
}

TEST(ListingTest, WhatCannotBeVerifiedIsRefused) {
  json file = Small("a");
  file.erase("blobId");
  EXPECT_ERROR(Parse({file}), "blobId");
  file = Small("a");
  file["size"] = -1;
  EXPECT_ERROR(Parse({file}), "siblings[0].size");
  file["size"] = int64_t{1} << 60;
  EXPECT_ERROR(Parse({file}), "siblings[0].size");
  file["size"] = 1.5;
  EXPECT_ERROR(Parse({file}), "siblings[0].size");
  file = Large("a");
  file["lfs"]["sha256"] = kSha1;
  EXPECT_ERROR(Parse({file}), "siblings[0].lfs.sha256");
  EXPECT_ERROR(Parse({Small("a"), Small("a")}), "listed twice");
  EXPECT_ERROR(ParseListing("<html>", "list"), "list");
  EXPECT_ERROR(ParseListing("", "list"), "list");
  EXPECT_ERROR(ParseListing("{}", "list"), "sha");
  EXPECT_ERROR(ParseListing(R"({"sha": "../../x", "siblings": []})", "list"), "commit");
}

std::vector<std::string> Names(const HubListing& listing) {
  std::vector<std::string> names;
  for (const HubFile& file : listing.files) names.push_back(file.name);
  return names;
}

using Strings = std::vector<std::string>;

TEST(FileSelectionTest, ByDefaultWhatAModelNeeds) {
  const HubListing listing = Parse(
      {Small(".gitattributes"), Small("README.md"), Small("config.json"),
       Small("generation_config.json"), Small("tokenizer.json"), Small("tokenizer_config.json"),
       Small("chat_template.jinja"), Large("model-00001-of-00002.safetensors"),
       Large("model-00002-of-00002.safetensors"), Small("model.safetensors.index.json"),
       Large("pytorch_model.bin"), Large("original/consolidated.00.pth"), Large("onnx/model.onnx"),
       Large("sub/other.safetensors"), Large("model-q8_0.gguf")});
  Strings left_out;
  EXPECT_EQ(
      Names(FileSelection{}.Choose(listing, "m", left_out)),
      (Strings{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
               "chat_template.jinja", "model-00001-of-00002.safetensors",
               "model-00002-of-00002.safetensors", "model.safetensors.index.json"}));
  EXPECT_EQ(left_out.size(), 7u);

  left_out.clear();
  EXPECT_EQ(Names(FileSelection{.include = {"*.gguf"}}.Choose(listing, "m", left_out)),
            (Strings{"model-q8_0.gguf"}));
  left_out.clear();
  const FileSelection both = {.include = {"*.json", "o*"}, .exclude = {"*.onnx", "tok*", "model*"}};
  EXPECT_EQ(Names(both.Choose(listing, "m", left_out)),
            (Strings{"config.json", "generation_config.json", "original/consolidated.00.pth"}));
  EXPECT_ERROR(FileSelection{.include = {"nothing"}}.Choose(listing, "m", left_out), "README.md");
}

TEST(FileSelectionTest, WithoutSafetensorsItSaysWhatElseThereIs) {
  Strings left_out;
  EXPECT_ERROR(
      FileSelection{}.Choose(Parse({Small("config.json"), Large("a.Q8_0.gguf")}), "m", left_out),
      "--include '*Q8_0.gguf'");
  EXPECT_ERROR(FileSelection{}.Choose(Parse({Small("config.json"), Large("pytorch_model.bin")}),
                                      "m", left_out),
               "no safetensors");
}

}  // namespace
}  // namespace fathom
