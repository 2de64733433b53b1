// `fathom pull` as a user calls it.

#include <nlohmann/json.hpp>

#include "e2e/process.h"
#include "hub/pull_fixture.h"

namespace fathom::test {
namespace {

using nlohmann::json;

class PullCommandTest : public PullTest {
 protected:
  // The arguments of a pull of the fake hub's model, and `more`.
  std::vector<std::string> Arguments(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"pull", "org/model", model_.string(), "--endpoint",
                                          hub_.endpoint()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // Half of the weights, then nothing more: until the hub ends.
  void HangHalfWay() {
    AnswerWeights(1, [this](const FakeRequest&, FakeConnection& connection) {
      connection.Send(
          fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", weights_.size()));
      connection.Send(std::string_view(weights_).substr(0, kHalf));
      hub_.WaitForEnd();
    });
  }
  // Until half of the weights are on the disk (or the process has ended).
  void AwaitHalf(Process& process) {
    std::error_code missing;
    while (!process.Ended() &&
           std::filesystem::file_size(Path("model.safetensors.part"), missing) != kHalf) {
      std::this_thread::yield();
    }
  }

  static constexpr size_t kHalf = 150'000;
};

TEST_F(PullCommandTest, APulledModelOpens) {
  const std::filesystem::path golden = FATHOM_GOLDEN_DIR "/model/deepseek_v3";
  hub_.Add("config.json", ReadFile(golden / "config.json"), false);
  hub_.Add("model.safetensors", ReadFile(golden / "model.safetensors"), true);
  Process pull(directory_.path(), Arguments({"--json"}));
  ASSERT_EQ(pull.Status(), 0) << pull.Err();
  const json result = json::parse(pull.Out());
  EXPECT_EQ(result["commit"], FakeHub::kCommit);
  EXPECT_EQ(result["left_out"], json({"README.md"}));
  ASSERT_EQ(result["files"].size(), 2u);
  EXPECT_EQ(result["files"][1]["name"], "model.safetensors");
  EXPECT_EQ(result["files"][1]["checksum"],
            "sha256:" + Sha256Hex(ReadFile(golden / "model.safetensors")));
  EXPECT_NE(pull.Err().find("left out: README.md"), std::string::npos) << pull.Err();

  Process inspect(directory_.path(), {"inspect", model_.string(), "--json"});
  ASSERT_EQ(inspect.Status(), 0) << inspect.Err();
  Process original(directory_.path(), {"inspect", golden.string(), "--json"});
  ASSERT_EQ(original.Status(), 0);
  EXPECT_EQ(json::parse(inspect.Out())["parameters"], json::parse(original.Out())["parameters"]);
}

TEST_F(PullCommandTest, GoesOnAfterAKill) {
  HangHalfWay();
  Process killed(directory_.path(), Arguments());
  AwaitHalf(killed);
  killed.Signal(SIGKILL);
  EXPECT_EQ(killed.Status(), -SIGKILL);
  Process again(directory_.path(), Arguments());
  ASSERT_EQ(again.Status(), 0) << again.Err();
  ExpectModelIsThere();
  EXPECT_EQ(hub_.RequestsFor("/store/").back().Header("range"), "bytes=150000-");
}

TEST_F(PullCommandTest, CtrlCLeavesPartsAndSaysHowToGoOn) {
  HangHalfWay();
  Process stopped(directory_.path(), Arguments());
  AwaitHalf(stopped);
  stopped.Signal(SIGINT);
  EXPECT_EQ(stopped.Status(), 1);
  EXPECT_NE(stopped.Err().find("interrupted (what has arrived is kept; the same command goes on"),
            std::string::npos)
      << stopped.Err();
  EXPECT_EQ(Read("model.safetensors.part").size(), kHalf);
  Process again(directory_.path(), Arguments({"--quiet"}));
  ASSERT_EQ(again.Status(), 0);
  EXPECT_EQ(again.Err(), "");
  ExpectModelIsThere();
  EXPECT_EQ(hub_.RequestsFor("/store/").back().Header("range"), "bytes=150000-");
}

TEST_F(PullCommandTest, AFullDiskIsAnErrorAndLeavesAPartToGoOnWith) {
  Process full(directory_.path(), Arguments(), /*file_limit=*/100'000);
  EXPECT_EQ(full.Status(), 1);
  EXPECT_NE(full.Err().find("model.safetensors.part: cannot be written"), std::string::npos)
      << full.Err();
  EXPECT_NE(full.Err().find("free some space"), std::string::npos) << full.Err();
  EXPECT_FALSE(Exists("model.safetensors"));
  Process again(directory_.path(), Arguments());
  ASSERT_EQ(again.Status(), 0) << again.Err();
  ExpectModelIsThere();
  EXPECT_EQ(hub_.RequestsFor("/store/").back().Header("range"), "bytes=100000-");
}

TEST_F(PullCommandTest, TokensComeFromAFileOrTheEnvironment) {
  std::ofstream(directory_ / "token") << "  hf_from_file\n";
  Process with_file(directory_.path(),
                    Arguments({"--token-file", (directory_ / "token").string()}));
  ASSERT_EQ(with_file.Status(), 0) << with_file.Err();
  EXPECT_EQ(hub_.RequestsFor("/api/").back().Header("authorization"), "Bearer hf_from_file");
  setenv("HF_TOKEN", "hf_from_environment", 1);
  setenv("HF_ENDPOINT", hub_.endpoint().c_str(), 1);
  Process with_environment(directory_.path(), {"pull", "org/model", model_.string()});
  ASSERT_EQ(with_environment.Status(), 0) << with_environment.Err();
  EXPECT_EQ(hub_.RequestsFor("/api/").back().Header("authorization"), "Bearer hf_from_environment");
  setenv("HF_TOKEN", "hf_bad\r\nX-Injected: 1", 1);
  Process with_bad(directory_.path(), {"pull", "org/model", model_.string()});
  EXPECT_EQ(with_bad.Status(), 1);
  EXPECT_EQ(with_bad.Err().find("hf_bad"), std::string::npos);
  unsetenv("HF_TOKEN");
  unsetenv("HF_ENDPOINT");
}

TEST_F(PullCommandTest, UsageErrors) {
  Process name(directory_.path(), {"pull", "https://hub/org/model", "--endpoint", hub_.endpoint()});
  EXPECT_EQ(name.Status(), 2);
  EXPECT_NE(name.Err().find("is not the name of a model"), std::string::npos) << name.Err();
  Process endpoint(directory_.path(), {"pull", "org/model", "--endpoint", "hub"});
  EXPECT_EQ(endpoint.Status(), 2);
  Process help(directory_.path(), {"pull", "--help"});
  EXPECT_EQ(help.Status(), 0);
  EXPECT_NE(help.Out().find("Example: fathom pull"), std::string::npos);
}

}  // namespace
}  // namespace fathom::test
