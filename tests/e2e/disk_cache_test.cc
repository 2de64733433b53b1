// The disk tier of the prefix cache under kill -9: whole files or none, and the same answer.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/temporary_directory.h"
#include "e2e/process.h"

namespace fathom::test {
namespace {

using nlohmann::json;

class DiskCacheTest : public testing::Test {
 protected:
  DiskCacheTest() {
    EXPECT_EQ(Finish({"tokenize", "train", "--vocab-size", "600", "--quiet", "--out",
                      (directory_ / "tokenizer").string(), FATHOM_SOURCE_DIR "/src/base/error.h"}),
              0);
    EXPECT_EQ(Finish({"init", "nano", Model(), "--layers", "2", "--seed", "3", "--tokenizer",
                      (directory_ / "tokenizer").string()}),
              0);
  }

  std::string Model() const { return (directory_ / "model").string(); }
  std::filesystem::path Cache() const { return directory_ / "cache"; }
  std::vector<std::string> Generate(int64_t tokens, int64_t seed = 5) const {
    return {"generate",     Model(),
            "--prompt",     std::string(600, 'x') + " and then",
            "--n",          "3",
            "--seed",       std::to_string(seed),
            "--json",       "--ignore-eos",
            "--threads",    "1",
            "--max-tokens", std::to_string(tokens)};
  }
  static std::vector<std::string> With(std::vector<std::string> arguments,
                                       std::initializer_list<std::string> more) {
    arguments.insert(arguments.end(), more);
    return arguments;
  }
  int Finish(std::vector<std::string> arguments) {
    Process process(directory_.path(), std::move(arguments));
    return process.Status();
  }
  json Output(std::vector<std::string> arguments) {
    Process process(directory_.path(), std::move(arguments));
    EXPECT_EQ(process.Status(), 0) << process.Err();
    EXPECT_EQ(process.Err().find("warning"), std::string::npos) << process.Err();
    return json::parse(process.Out());
  }
  int64_t Files() const {
    int64_t count = 0;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(Cache(), error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().extension() == ".page") ++count;
    }
    return count;
  }

  TemporaryDirectory directory_;
};

TEST_F(DiskCacheTest, ANewProcessGoesOnFromTheFiles) {
  const json cold = Output(Generate(40));
  const std::vector<std::string> cached = With(Generate(40), {"--disk-cache", Cache().string()});
  const json first = Output(cached), second = Output(cached);
  EXPECT_EQ(first["choices"], cold["choices"]);
  EXPECT_EQ(second["choices"], cold["choices"]);
  EXPECT_EQ(first["usage"][0]["disk_tokens"], 0);
  const int64_t prompt = static_cast<int64_t>(cold["prompt_tokens"].size());
  EXPECT_EQ(second["usage"][0]["disk_tokens"], (prompt - 1) / 64 * 64);
  // Nobody but the owner may read what was said.
  namespace fs = std::filesystem;
  for (const auto& entry : fs::recursive_directory_iterator(Cache())) {
    EXPECT_EQ(entry.status().permissions() & (fs::perms::group_all | fs::perms::others_all),
              fs::perms::none)
        << entry.path();
  }
  // Other weights, another type: other prefixes.
  const json other = Output(With(cached, {"--dtype", "bf16"}));
  EXPECT_EQ(other["usage"][0]["disk_tokens"], 0);
  const json fp8 = Output(With(cached, {"--cache-dtype", "fp8"}));
  EXPECT_EQ(fp8["usage"][0]["disk_tokens"], 0);
}

TEST_F(DiskCacheTest, TheSizeIsKept) {
  const auto bytes = [&] {
    uintmax_t sum = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(Cache())) {
      if (entry.is_regular_file()) sum += entry.file_size();
    }
    return sum;
  };
  const std::vector<std::string> cached =
      With(Generate(300), {"--disk-cache", Cache().string(), "--disk-cache-size"});
  Output(With(cached, {"100MB"}));
  const uintmax_t all = bytes();
  EXPECT_GT(all, 500'000U);
  Output(With(cached, {"200KB"}));
  EXPECT_LE(bytes(), 200U * 1024);
  EXPECT_GT(bytes(), 50'000U);
}

TEST_F(DiskCacheTest, KilledTwentyTimesItsFilesAreWhole) {
  const json cold = Output(Generate(200));
  int killed = 0;
  for (int64_t round = 0; round < 20; ++round) {
    // Killed as soon as it has written some more pages; each round another number of other ones.
    const int64_t wanted = Files() + 1 + round % 4;
    Process process(directory_.path(),
                    With(Generate(3000, 100 + round), {"--disk-cache", Cache().string()}));
    while (!process.Ended() && Files() < wanted) std::this_thread::yield();
    ASSERT_FALSE(process.Ended()) << process.Err();
    process.Signal(SIGKILL);
    EXPECT_EQ(process.Status(), -SIGKILL);
    ++killed;
  }
  EXPECT_EQ(killed, 20);
  // Without a warning, so none of the files is damaged.
  const json after = Output(With(Generate(200), {"--disk-cache", Cache().string()}));
  EXPECT_EQ(after["choices"], cold["choices"]);
  EXPECT_GT(after["usage"][0]["disk_tokens"], 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Cache())) {
    EXPECT_TRUE(entry.is_directory() || entry.path().extension() == ".page")
        << "a piece is left: " << entry.path();
  }
}

}  // namespace
}  // namespace fathom::test
