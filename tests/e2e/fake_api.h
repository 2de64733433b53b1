#pragma once

// A server with the pages of `fathom serve` and an API whose answers a test writes, piece by piece.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "serve/http/answer.h"
#include "serve/running_server.h"
#include "serve/web/pages.h"

namespace fathom::test {

// A request for an answer, and the hand that writes it.
class Asked {
 public:
  Asked(const WebRequest& request)
      : body(nlohmann::json::parse(request.body)), authorization(request.Header("Authorization")) {
    answer_->OnGone([this] {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      changed_.notify_all();
    });
  }

  void Think(const std::string& text) { Say("reasoning_content", text); }
  void Say(const std::string& text) { Say("content", text); }
  void End(const std::string& finish = "stop", const nlohmann::json& usage = {}) {
    Send({{"choices",
           {{{"index", 0}, {"delta", nlohmann::json::object()}, {"finish_reason", finish}}}}});
    if (!usage.empty()) Send({{"choices", nlohmann::json::array()}, {"usage", usage}});
    answer_->Write("data: [DONE]\n\n");
    answer_->Close();
  }
  void Refuse(int status, const std::string& message, WebHeaders headers = {}) {
    answer_->Send({.status = status,
                   .type = "application/json",
                   .body = nlohmann::json{{"error", {{"message", message}}}}.dump(),
                   .headers = std::move(headers)});
  }
  // Until the client has closed the connection before the end.
  bool AwaitGone() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [this] { return gone_; });
  }

  const nlohmann::json body;
  const std::string authorization;
  const std::shared_ptr<WebAnswer>& answer() const { return answer_; }

 private:
  void Say(const char* field, const std::string& text) {
    Send({{"choices", {{{"index", 0}, {"delta", {{field, text}}}, {"finish_reason", nullptr}}}}});
  }
  void Send(const nlohmann::json& chunk) {
    if (!std::exchange(begun_, true)) {
      answer_->Begin(
          {.type = "text/event-stream; charset=utf-8", .headers = {{"Cache-Control", "no-cache"}}});
    }
    answer_->Write("data: " + chunk.dump() + "\n\n");
  }

  const std::shared_ptr<WebAnswer> answer_ = std::make_shared<WebAnswer>();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool begun_ = false, gone_ = false;
};

class FakeApi {
 public:
  FakeApi() : server_({.port = 0}, Routes()) {}

  std::string address() const { return "http://127.0.0.1:" + std::to_string(server_.port()) + "/"; }
  // The next request for an answer that nobody has taken, when it comes.
  Asked& Next() {
    std::unique_lock lock(mutex_);
    const bool is_there =
        came_.wait_for(lock, std::chrono::seconds(30), [this] { return asked_.size() > taken_; });
    if (!is_there) throw std::runtime_error("nothing was asked");
    return *asked_[taken_++];
  }
  // From now on nothing is answered without it.
  void WantKey(const std::string& key) {
    const std::lock_guard lock(mutex_);
    key_ = key;
  }

 private:
  WebRouter Routes() {
    WebRouter router;
    AddPages("chat", router);
    router.Add("GET", "/v1/models", [this](const WebRequest& request) {
      if (!MayAsk(request)) return NoKey();
      return WebResponse{
          .type = "application/json",
          .body = R"({"data": [{"id": "fake-r1", "max_model_len": 65536, "default_sampling":
                      {"temperature": 0.6, "top_p": 0.95, "top_k": 0, "min_p": 0, "repetition_penalty": 1}}]})"};
    });
    router.Add("POST", "/v1/chat/completions", [this](const WebRequest& request) {
      if (!MayAsk(request)) return NoKey();
      const std::lock_guard lock(mutex_);
      asked_.push_back(std::make_unique<Asked>(request));
      came_.notify_all();
      return WebResponse{.later = asked_.back()->answer()};
    });
    return router;
  }
  bool MayAsk(const WebRequest& request) {
    const std::lock_guard lock(mutex_);
    return key_.empty() || request.Header("Authorization") == "Bearer " + key_;
  }
  static WebResponse NoKey() {
    return {
        .status = 401,
        .type = "application/json",
        .body = R"({"error": {"message": "this key is not known", "code": "invalid_api_key"}})"};
  }

  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::unique_ptr<Asked>> asked_;
  size_t taken_ = 0;
  std::string key_;
  Running server_;  // last: it is over before what it uses
};

}  // namespace fathom::test
