#pragma once

// What clients of `fathom serve` saw, to be found in its ledger.

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "serve/client.h"

namespace fathom::test {

// A streamed completion of so many tokens: the id and the tokens that its client was told of,
// nothing unless it saw [DONE]. headers: the client's key. answer: what came instead.
inline std::optional<std::pair<std::string, int64_t>> AskForStream(Client& client,
                                                                   const std::string& headers,
                                                                   uint32_t tokens,
                                                                   std::string* answer = nullptr) {
  const nlohmann::json request = {{"prompt", "class Error"},
                                  {"max_tokens", tokens},
                                  {"ignore_eos", true},
                                  {"stream", true},
                                  {"stream_options", {{"include_usage", true}}}};
  client.Send(Post("/v1/completions", request.dump(), headers + "Connection: close\r\n"));
  const std::string text = client.ReceiveUntil("[DONE]");
  if (!Has(text, "[DONE]")) {
    if (answer != nullptr) *answer = text;
    return std::nullopt;
  }
  const size_t usage = text.rfind("data: {");
  const auto event =
      nlohmann::json::parse(text.substr(usage + 6, text.find("\n\n", usage) - usage - 6));
  return std::pair<std::string, int64_t>(event["id"], event["usage"]["completion_tokens"]);
}

// Streams that its clients saw whole, by id: the tokens that they were told of.
class Seen {
 public:
  // Returns how many there are.
  size_t Add(const std::string& id, int64_t tokens) {
    const std::lock_guard lock(mutex_);
    tokens_[id] = tokens;
    return tokens_.size();
  }
  std::map<std::string, int64_t> tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int64_t> tokens_;
};

// Every answer that a client saw whole has one row, which says so.
inline void ExpectSettledOnce(const Seen& seen,
                              const std::vector<std::map<std::string, std::string>>& ledger) {
  std::map<std::string, std::map<std::string, std::string>> rows;
  for (const auto& row : ledger) {
    EXPECT_NE(row.at("outcome"), "open");
    EXPECT_FALSE(row.at("settled").empty());
    EXPECT_TRUE(rows.emplace(row.at("id"), row).second) << row.at("id");
  }
  for (const auto& [id, tokens] : seen.tokens()) {
    ASSERT_TRUE(rows.contains(id)) << id;
    EXPECT_EQ(rows[id].at("outcome"), "done") << id;
    EXPECT_EQ(rows[id].at("output_tokens"), std::to_string(tokens)) << id;
  }
}

}  // namespace fathom::test
