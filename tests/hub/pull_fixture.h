#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "hub/fake_hub.h"
#include "hub/pull.h"

namespace fathom::test {

// A fake hub with a small model, and a directory to pull it to. Nobody waits: how long it would
// have been is noted.
class PullTest : public testing::Test {
 protected:
  PullTest() {
    for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) unsetenv(name);
    spdlog::set_level(spdlog::level::off);
    for (size_t i = 0; i < weights_.size(); ++i) weights_[i] = static_cast<char>(i * i / 7);
    hub_.Add("config.json", config_, /*is_large=*/false);
    hub_.Add("README.md", "# A model", /*is_large=*/false);
    hub_.Add("model.safetensors", weights_, /*is_large=*/true);
  }

  std::filesystem::path Path(const std::string& name) const { return model_ / name; }
  std::string Read(const std::string& name) const { return ReadFile(Path(name)); }
  void Write(const std::string& name, std::string_view content) const {
    std::filesystem::create_directories(model_);
    std::ofstream(Path(name), std::ios::binary) << content;
  }
  bool Exists(const std::string& name) const { return std::filesystem::exists(Path(name)); }

  PullOptions Options() {
    PullOptions options;
    options.hub.endpoint = hub_.endpoint();
    options.hub.repository = "org/model";
    options.hub.wait = [this](double seconds) {
      const std::lock_guard lock(mutex_);
      waits_.push_back(seconds);
    };
    options.directory = model_;
    options.quiet = true;
    return options;
  }
  PullResult Run() { return Pull(Options()); }

  void ExpectModelIsThere() const {
    EXPECT_EQ(Read("config.json"), config_);
    EXPECT_EQ(Read("model.safetensors"), weights_);
    EXPECT_FALSE(Exists("config.json.part"));
    EXPECT_FALSE(Exists("model.safetensors.part"));
  }

  // The next `times` requests for the bytes of the weights are answered by `answer`.
  void AnswerWeights(int times, std::function<void(const FakeRequest&, FakeConnection&)> answer) {
    hub_.Settle();
    left_ = times;
    hub_.intercept = [this, answer](const FakeRequest& request, FakeConnection& connection) {
      if (request.target.find("/store/model.safetensors") == std::string::npos) return false;
      if (left_-- <= 0) return false;
      answer(request, connection);
      return true;
    };
  }
  // Every request is answered with this.
  void AnswerAll(const std::string& status, const std::string& headers) {
    hub_.Settle();
    hub_.intercept = [=](const FakeRequest&, FakeConnection& connection) {
      connection.Answer(status, headers, "");
      return true;
    };
  }

  const std::string config_ = R"({"model_type": "deepseek_v3"})";
  std::string weights_ = std::string(300'000, 0);
  FakeHub hub_;
  TemporaryDirectory directory_;
  const std::filesystem::path model_ = directory_ / "model";
  std::mutex mutex_;
  std::vector<double> waits_;
  std::atomic<int> left_{0};
};

}  // namespace fathom::test
