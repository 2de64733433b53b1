// Ten times as many requests as the server can answer. FATHOM_OVERLOAD_SECONDS: how long (`make
// test-long`: two minutes); without it the test is skipped, since it measures the machine.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Percentile99(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(static_cast<size_t>(0.99 * static_cast<double>(values.size() - 1)));
}

class OverloadTest : public ServeTest {
 protected:
  struct Answers {
    std::mutex mutex;
    std::vector<double> first_token, refused;  // seconds
    int64_t others = 0;
  };

  // One request to its end.
  void Generate(int number, Answers& answers) const {
    // No two prompts begin alike, so that every one has to be computed.
    std::string prompt = std::to_string(number);
    while (prompt.size() < 1200) prompt += " int " + std::to_string(number);
    // The first token's text does not wait for the rest of a character.
    const json request = {{"prompt", prompt},
                          {"max_tokens", 32},
                          {"ignore_eos", true},
                          {"stream", true},
                          {"logit_bias", {{std::to_string(whole_), 100}}}};
    const std::string text = Post("/v1/completions", request.dump());
    Client client(port_);
    const auto start = Clock::now();
    client.Send(text);
    const std::string head = client.ReceiveUntil("\r\n\r\n");
    if (Status(head) == 200) client.ReceiveUntil("data: ");
    const double seconds = SecondsSince(start);
    if (Status(head) == 200) client.ReceiveUntil("[DONE]");
    const std::lock_guard lock(answers.mutex);
    if (Status(head) == 200) {
      answers.first_token.push_back(seconds);
    } else if (Status(head) == 429) {
      answers.refused.push_back(seconds);
    } else {
      ++answers.others;
    }
  }
  int32_t whole_ = 0;  // a token that is the text of a whole character

  // Resident memory of the server, in bytes.
  int64_t Memory() const {
    std::ifstream status("/proc/" + std::to_string(server_->id()) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6)) * 1024;
    }
    return 0;
  }
};

TEST_F(OverloadTest, RefusesEarlyAndKeepsItsObjective) {
  const char* given = std::getenv("FATHOM_OVERLOAD_SECONDS");
  if (given == nullptr) GTEST_SKIP() << "FATHOM_OVERLOAD_SECONDS is not set";
  const double duration = std::atof(given);
  const std::string config = (own_ / "serve.toml").string();
  WriteFileAtomically(config, "");
  constexpr int kRunning = 8;
  Serve({"--config", config, "--max-running", std::to_string(kRunning), "--cache-memory", "16MB"},
        /*quiet=*/false);
  whole_ = Ask("/tokenize", {{"prompt", "a"}})["tokens"].back();
  // What it can do: eight clients that each wait for their answer.
  std::atomic<int> number = 0;
  Answers calm;
  constexpr double kCalm = 5;
  std::vector<std::thread> threads;
  const auto begin = Clock::now();
  for (int i = 0; i < kRunning; ++i) {
    threads.emplace_back([&] {
      while (SecondsSince(begin) < kCalm) Generate(number++, calm);
    });
  }
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  const double sustainable = static_cast<double>(calm.first_token.size()) / SecondsSince(begin);
  ASSERT_GT(sustainable, 0);
  ASSERT_EQ(calm.refused.size(), 0U);
  // Twice what a request takes in all when as many are answered as run at a time.
  const double objective = 2 * kRunning / sustainable;
  WriteFileAtomically(config,
                      fmt::format("[admission]\nfirst_token_seconds = {:.3f}\n", objective));
  server_->Signal(SIGHUP);
  while (!Has(server_->Err(), "configuration is read again")) {
    ASSERT_LT(SecondsSince(begin), 60) << server_->Err();
    std::this_thread::yield();
  }
  // Ten times that, whatever becomes of it: each thread sends at its times.
  const double rate = 10 * sustainable;
  constexpr int kThreads = 256;
  Answers answers;
  std::atomic<int64_t> memory = 0;
  const auto start = Clock::now();
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int k = i;; k += kThreads) {
        const double due = k / rate;
        if (due > duration) return;
        std::this_thread::sleep_until(start + std::chrono::duration_cast<Clock::duration>(
                                                  std::chrono::duration<double>(due)));
        if (SecondsSince(start) > duration / 4 && memory == 0) memory = Memory();
        Generate(number++, answers);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double grown = static_cast<double>(Memory() - memory);
  ASSERT_FALSE(answers.first_token.empty());
  ASSERT_FALSE(answers.refused.empty());
  std::printf(
      "sustainable %.1f a second; sent %.1f; answered %zu, refused %zu in %.0f s\n"
      "p99 to the first token %.3f s (objective %.3f s), to a refusal %.4f s; memory grew by %.1f "
      "MB\n",
      sustainable, rate, answers.first_token.size(), answers.refused.size(), duration,
      Percentile99(answers.first_token), objective, Percentile99(answers.refused), grown / 1e6);
  EXPECT_EQ(answers.others, 0);
  EXPECT_LE(Percentile99(answers.refused), 0.05);
  EXPECT_LE(Percentile99(answers.first_token), objective);
  // It goes on doing what it can.
  EXPECT_GE(static_cast<double>(answers.first_token.size()), 0.5 * sustainable * duration);
  EXPECT_LE(grown, 32e6);
}

}  // namespace
}  // namespace fathom::test
