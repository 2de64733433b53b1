#pragma once

// `fathom serve` with a small random model, and what its clients do.

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/temporary_directory.h"
#include "e2e/process.h"
#include "serve/client.h"

namespace fathom::test {

using nlohmann::json;

class ServeTest : public testing::Test {
 protected:
  // One model for all tests of a suite.
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    ASSERT_EQ(
        Run({"tokenize", "train", "--vocab-size", "600", "--quiet", "--out", Path("tokenizer"),
             FATHOM_SOURCE_DIR "/src/base/error.h", FATHOM_SOURCE_DIR "/src/base/file.h"}),
        0);
    ASSERT_EQ(Run({"init", "nano", Path("model"), "--layers", "2", "--seed", "3", "--tokenizer",
                   Path("tokenizer")}),
              0);
  }
  static void TearDownTestSuite() { directory_.reset(); }
  static std::string Path(const std::string& name) { return (*directory_ / name).string(); }
  static int Run(const std::vector<std::string>& arguments) {
    return Process(directory_->path(), arguments).Status();
  }
  static json RunJson(const std::vector<std::string>& arguments) {
    Process process(directory_->path(), arguments);
    EXPECT_EQ(process.Status(), 0) << process.Err();
    return json::parse(process.Out());
  }

  void Serve(std::vector<std::string> options = {}, bool quiet = true) {
    std::vector<std::string> arguments = {"serve", Path("model"), "--port", "0"};
    if (quiet) arguments.push_back("--quiet");
    arguments.insert(arguments.end(), options.begin(), options.end());
    server_ = std::make_unique<Process>(own_.path(), arguments);
    port_ = server_->AwaitPort();
    ASSERT_NE(port_, 0) << server_->Err();
  }

  static std::string Body(std::string_view answer) {
    return std::string(answer.substr(answer.find("\r\n\r\n") + 4));
  }
  json Ask(const std::string& path, const json& request, int status = 200) const {
    Client client(port_);
    client.Send(Post(path, request.dump(), Headers()));
    const std::string answer = client.Receive();
    EXPECT_EQ(Status(answer), status) << answer;
    return json::parse(Body(answer));
  }
  // The events of a streamed answer, without the last, "[DONE]" (which those of /v1/responses
  // lack).
  std::vector<json> Stream(const std::string& path, json request) const {
    request["stream"] = true;
    Client client(port_);
    client.Send(Post(path, request.dump(), Headers()));
    std::string text = client.ReceiveUntil("\r\n0\r\n\r\n");
    EXPECT_EQ(Status(text), 200) << text;
    std::vector<json> events;
    bool done = false;
    for (size_t at = 0; (at = text.find("data: ", at)) != std::string::npos;) {
      at += 6;
      const std::string event = text.substr(at, text.find("\n\n", at) - at);
      EXPECT_FALSE(done) << "something comes after [DONE]";
      done = event == "[DONE]";
      if (!done) events.push_back(json::parse(event));
    }
    EXPECT_EQ(done, path != "/v1/responses") << text;
    return events;
  }
  // Rows of `fathom ledger export`, by column.
  std::vector<std::map<std::string, std::string>> ExportLedger() {
    Process process(directory_->path(), {"ledger", "export", "--ledger", Ledger()});
    EXPECT_EQ(process.Status(), 0) << process.Err();
    std::istringstream csv(process.Out());
    std::vector<std::string> names;
    std::vector<std::map<std::string, std::string>> rows;
    for (std::string line; std::getline(csv, line);) {
      std::istringstream fields(line);
      std::map<std::string, std::string> row;
      size_t column = 0;
      for (std::string field; std::getline(fields, field, ','); ++column) {
        if (rows.empty() && names.size() == column) {
          names.push_back(field);
        } else {
          row[names.at(column)] = field;
        }
      }
      if (!row.empty()) rows.push_back(std::move(row));
    }
    return rows;
  }
  // The --ledger of servers and commands.
  virtual std::string Ledger() const { return (own_ / "ledger.db").string(); }
  std::string CreateKey(const std::string& name, const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {"keys", "create", name, "--ledger", Ledger(), "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return RunJson(arguments)["key"];
  }

  // Choices that are being written, or wait.
  int64_t UnderWay() const {
    Client client(port_);
    client.Send(Get("/health"));
    const json health = json::parse(Body(client.Receive()));
    EXPECT_EQ(health["status"], "ok");
    return health["running"].get<int64_t>() + health["waiting"].get<int64_t>();
  }

  static inline std::unique_ptr<TemporaryDirectory> directory_;
  // That of requests, once there is a key.
  std::string Headers() const {
    return key_.empty() ? "" : "Authorization: Bearer " + key_ + "\r\n";
  }

  TemporaryDirectory own_;
  std::unique_ptr<Process> server_;
  uint16_t port_ = 0;
  std::string key_;
};

inline json UserSays(const std::string& text) {
  return json::array({{{"role", "user"}, {"content", text}}});
}

}  // namespace fathom::test
