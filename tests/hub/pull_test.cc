// What a directory holds after Pull, from whatever it held before.

#include "hub/pull.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "hub/pull_fixture.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;

TEST_F(PullTest, DownloadsWhatAModelNeeds) {
  const PullResult result = Run();
  ExpectModelIsThere();
  EXPECT_FALSE(Exists("README.md"));
  EXPECT_EQ(result.commit, FakeHub::kCommit);
  EXPECT_EQ(result.left_out, std::vector<std::string>{"README.md"});
  EXPECT_EQ(result.received, static_cast<int64_t>(config_.size() + weights_.size()));
  ASSERT_EQ(result.files.size(), 2u);
  EXPECT_TRUE(result.files[0].downloaded && result.files[1].downloaded);
  // From the commit that main was, not from main.
  for (const FakeRequest& request : hub_.RequestsFor("/resolve/")) {
    EXPECT_NE(request.target.find(FakeHub::kCommit), std::string::npos);
  }
}

TEST_F(PullTest, FilesInFoldersAndWithOddNames) {
  hub_.Add("a/b/c d#%25.txt", "text", false);
  hub_.Add("empty", "", false);
  hub_.intercept = [](const FakeRequest& request, FakeConnection& connection) {
    if (request.target.find("a/b/c%20d%23%2525.txt") == std::string::npos) return false;
    connection.Answer("200 OK", "", "text");
    return true;
  };
  PullOptions options = Options();
  options.selection.include = {"*"};
  Pull(options);
  ExpectModelIsThere();
  EXPECT_EQ(Read("a/b/c d#%25.txt"), "text");
  EXPECT_EQ(Read("empty"), "");
  EXPECT_EQ(Read("README.md"), "# A model");
}

TEST_F(PullTest, WhatIsThereIsNotDownloadedAgain) {
  Run();
  const size_t before = hub_.requests().size();
  const PullResult second = Run();
  EXPECT_EQ(hub_.requests().size(), before + 1);  // the listing
  EXPECT_EQ(second.received, 0);
  EXPECT_FALSE(second.files[0].downloaded || second.files[1].downloaded);
  // A file that came another way and is the right one is taken as it is.
  fs::remove(Path(".fathom-pull.json"));
  EXPECT_EQ(Run().received, 0);
  ExpectModelIsThere();
}

TEST_F(PullTest, AFileThatIsMissingIsDownloadedAlone) {
  Run();
  fs::remove(Path("config.json"));
  EXPECT_EQ(Run().received, static_cast<int64_t>(config_.size()));
  ExpectModelIsThere();
}

TEST_F(PullTest, VerifyFindsDamageThatTheDateDoesNotShow) {
  Run();
  struct stat info {};
  ASSERT_EQ(stat(Path("model.safetensors").c_str(), &info), 0);
  std::string damaged = weights_;
  damaged[1000] ^= 1;
  Write("model.safetensors", damaged);
  const struct timespec times[2] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, Path("model.safetensors").c_str(), times, 0), 0);
  EXPECT_EQ(Run().received, 0);
  PullOptions options = Options();
  options.verify = true;
  EXPECT_EQ(Pull(options).received, static_cast<int64_t>(weights_.size()));
  ExpectModelIsThere();
}

TEST_F(PullTest, OthersFilesAreNeverOverwritten) {
  Write("config.json", "mine");
  EXPECT_ERROR(Run(), "config.json: is there, and it is not the hub's file");
  EXPECT_EQ(Read("config.json"), "mine");
  EXPECT_FALSE(Exists("model.safetensors"));  // found before anything was downloaded
  fs::remove(Path("config.json"));
  Run();
  // Changed by the user since.
  Write("config.json", std::string(config_.size(), ' '));
  EXPECT_ERROR(Run(), "config.json");
  EXPECT_EQ(Read("config.json"), std::string(config_.size(), ' '));
  // A link, a folder, a part of something.
  fs::remove(Path("config.json"));
  fs::create_symlink(directory_ / "elsewhere", Path("config.json"));
  EXPECT_ERROR(Run(), "config.json");
  fs::remove(Path("config.json"));
  Write("config.json.part", "mine");
  EXPECT_ERROR(Run(), "config.json.part");
  EXPECT_EQ(Read("config.json.part"), "mine");
}

TEST_F(PullTest, AnotherRevisionReplacesWhatChanged) {
  Run();
  const std::string newer = R"({"model_type": "deepseek_v3", "newer": true})";
  hub_.Add("config.json", newer, false);
  EXPECT_EQ(Run().received, static_cast<int64_t>(newer.size()));
  EXPECT_EQ(Read("config.json"), newer);
  EXPECT_EQ(Read("model.safetensors"), weights_);
}

TEST_F(PullTest, APartOfOtherContentIsNotGoneOnWith) {
  AnswerWeights(1, [&](const FakeRequest&, FakeConnection& connection) {
    connection.Send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", weights_.size()));
    connection.Send(std::string_view(weights_).substr(0, 100'000));
    connection.Close();
  });
  PullOptions options = Options();
  options.hub.attempts = 1;
  EXPECT_ERROR(Pull(options), "model.safetensors");
  EXPECT_EQ(Read("model.safetensors.part").size(), 100'000u);
  hub_.Settle();
  for (char& c : weights_) c ^= 0x55;
  hub_.Add("model.safetensors", weights_, true);
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(hub_.RequestsFor("/store/").back().Header("range"), "");
}

TEST_F(PullTest, AFolderThatIsALinkIsNotFollowed) {
  hub_.Add("sub/file.txt", "text", false);
  fs::create_directories(model_);
  fs::create_directories(directory_ / "outside");
  fs::create_directory_symlink(directory_ / "outside", Path("sub"));
  PullOptions options = Options();
  options.selection.include = {"sub/*"};
  EXPECT_ERROR(Pull(options), "sub: is there and is not a folder");
  EXPECT_TRUE(fs::is_empty(directory_ / "outside"));
}

TEST_F(PullTest, HostileNamesWriteNothing) {
  auto listing = nlohmann::json::parse(hub_.listing());
  listing["siblings"][0]["rfilename"] = "../escaped.safetensors";
  hub_.listing_override = listing.dump();
  EXPECT_ERROR(Run(), "leads out of the directory");
  EXPECT_FALSE(fs::exists(model_));
  EXPECT_FALSE(fs::exists(directory_ / "escaped.safetensors"));
}

TEST_F(PullTest, NamesOfItsOwnAreRefused) {
  for (const char* name : {".fathom-pull.json", "config.json.part"}) {
    hub_.Add(name, "text", false);
    PullOptions options = Options();
    options.selection.include = {name};
    EXPECT_ERROR(Pull(options), name);
  }
}

TEST_F(PullTest, WhatDoesNotFitOnTheDiskIsNotBegun) {
  auto listing = nlohmann::json::parse(hub_.listing());
  for (auto& file : listing["siblings"]) {
    if (file.contains("lfs")) file["lfs"]["size"] = int64_t{1} << 45;
  }
  hub_.listing_override = listing.dump();
  EXPECT_ERROR(Run(), "not enough space: 32.0 TiB are still to download");
  EXPECT_TRUE(hub_.RequestsFor("/resolve/").empty());
}

TEST_F(PullTest, OneRunAtATimeInADirectory) {
  fs::create_directories(model_);
  const int descriptor = open(model_.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(descriptor, LOCK_EX), 0);
  EXPECT_ERROR(Run(), "another pull is writing there");
  close(descriptor);
  Run();
  ExpectModelIsThere();
}

TEST_F(PullTest, ManyFilesAtATime) {
  for (int i = 0; i < 40; ++i) {
    hub_.Add(fmt::format("model-{:02}.safetensors", i), fmt::format("weights {}", i), i % 2 == 0);
  }
  PullOptions options = Options();
  options.jobs = 8;
  EXPECT_EQ(Pull(options).files.size(), 42u);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(Read(fmt::format("model-{:02}.safetensors", i)), fmt::format("weights {}", i));
  }
  ExpectModelIsThere();
}

TEST_F(PullTest, NotANameOfAModel) {
  for (const char* name : {"", "a/b/c", "/a", "a/", "../a", "a/..", "a b/c", "https://host/a/b"}) {
    PullOptions options = Options();
    options.hub.repository = name;
    EXPECT_THROW(Pull(options), UsageError) << name;
  }
  for (const char* endpoint : {"", "hub", "ftp://hub", "http://user:pass@hub", "http://hub?x"}) {
    PullOptions options = Options();
    options.hub.endpoint = endpoint;
    EXPECT_THROW(Pull(options), UsageError) << endpoint;
  }
}

}  // namespace
}  // namespace fathom::test
