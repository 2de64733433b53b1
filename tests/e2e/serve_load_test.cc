// Many real requests at a time, with a model of the size that small servers have.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

constexpr int kRequests = 64;
constexpr int64_t kTokens = 16;

class ServeLoadTest : public ServeTest {
 protected:
  // Of different lengths; some begin alike.
  static json Request(int number) {
    std::string prompt = "class Error : public std::runtime_error {";
    for (int i = 0; i < number % 13; ++i) prompt += " int " + std::to_string(number % 5 + i) + ";";
    return {{"prompt", prompt},   {"max_tokens", kTokens},
            {"ignore_eos", true}, {"temperature", number % 4 == 0 ? 0 : 0.8},
            {"seed", number},     {"logprobs", 1}};
  }
  json Choice(int number) const { return Ask("/v1/completions", Request(number))["choices"][0]; }
};

TEST_F(ServeLoadTest, SixtyFourOfTiny8AreWhatTheyAreAlone) {
  ASSERT_EQ(Run({"init", "tiny8", Path("tiny8"), "--seed", "3", "--tokenizer", Path("tokenizer")}),
            0);
  const auto serve = [this] {
    server_ = std::make_unique<Process>(
        own_.path(), std::vector<std::string>{"serve", Path("tiny8"), "--port", "0", "--quiet"});
    port_ = server_->AwaitPort();
    ASSERT_NE(port_, 0) << server_->Err();
  };
  serve();
  std::vector<json> together(kRequests), alone;
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> clients;
  for (int i = 0; i < kRequests; ++i) {
    clients.emplace_back([&, i] { together[static_cast<size_t>(i)] = Choice(i); });
  }
  for (std::thread& client : clients) client.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("{} requests of {} tokens in {:.2f} s: {:.0f} tokens a second\n", kRequests, kTokens,
             seconds.count(), kRequests * kTokens / seconds.count());
  // By a server that has cached nothing.
  serve();
  for (int i = 0; i < kRequests; ++i) alone.push_back(Choice(i));
  for (int i = 0; i < kRequests; ++i) {
    EXPECT_EQ(together[static_cast<size_t>(i)], alone[static_cast<size_t>(i)]) << i;
  }
}

}  // namespace
}  // namespace fathom::test
