// POST /v1/embeddings as clients see it.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

using ServeEmbeddingsTest = ServeTest;

TEST_F(ServeEmbeddingsTest, ATextHasOneVectorHoweverItIsAskedFor) {
  Serve();
  const json both = Ask("/v1/embeddings", {{"input", {"class Error", "int main"}}});
  ASSERT_EQ(both["data"].size(), 2U);
  const auto values = both["data"][0]["embedding"].get<std::vector<float>>();
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * value;
  EXPECT_NEAR(squares, 1, 1e-5);
  EXPECT_NE(both["data"][0]["embedding"], both["data"][1]["embedding"]);
  const json one = Ask("/v1/embeddings", {{"input", "class Error"}, {"model", "model"}});
  EXPECT_EQ(one["data"][0]["embedding"], both["data"][0]["embedding"]);
  const json ids = Ask("/tokenize", {{"prompt", "class Error"}})["tokens"];
  const json of_ids = Ask("/v1/embeddings", {{"input", ids}});
  EXPECT_EQ(of_ids["data"][0]["embedding"], both["data"][0]["embedding"]);
  EXPECT_EQ(of_ids["usage"]["prompt_tokens"], ids.size());
  EXPECT_EQ(of_ids["usage"]["total_tokens"], ids.size());
}

TEST_F(ServeEmbeddingsTest, Base64HasTheSameNumbers) {
  Serve();
  const json plain = Ask("/v1/embeddings", {{"input", "abc"}});
  const json coded = Ask("/v1/embeddings", {{"input", "abc"}, {"encoding_format", "base64"}});
  const auto values = plain["data"][0]["embedding"].get<std::vector<float>>();
  const std::string text = coded["data"][0]["embedding"];
  std::string bytes;
  uint32_t bits = 0, have = 0;
  for (const char c : text) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(kDigits.find(c));
    if ((have += 6) < 8) continue;
    have -= 8;
    bytes += static_cast<char>(bits >> have & 0xFF);
  }
  ASSERT_EQ(bytes.size(), values.size() * sizeof(float));
  std::vector<float> decoded(values.size());
  std::memcpy(decoded.data(), bytes.data(), bytes.size());
  EXPECT_EQ(decoded, values);
}

TEST_F(ServeEmbeddingsTest, WhatIsWrongIsSaid) {
  Serve({"--context", "64"});
  const auto param = [this](const json& request) {
    return Ask("/v1/embeddings", request, 400)["error"]["param"];
  };
  EXPECT_EQ(param({{"model", "model"}}), "input");
  EXPECT_EQ(param({{"input", json::array()}}), "input");
  EXPECT_EQ(param({{"input", "a"}, {"dimensions", 8}}), "dimensions");
  EXPECT_EQ(param({{"input", "a"}, {"encoding_format", "hex"}}), "encoding_format");
  EXPECT_EQ(param({{"input", std::string(1000, 'x')}}), "input");
}

}  // namespace
}  // namespace fathom::test
