#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom {

using WebHeaders = std::vector<std::pair<std::string, std::string>>;
// The first one of that name (any case); empty when there is none.
std::string_view FindHeader(const WebHeaders& headers, std::string_view name);

// A request, read whole and within the server's limits. Everything in it is untrusted.
struct WebRequest {
  std::string method;  // "GET"
  std::string path;    // as it was sent, from the slash on and without the query: "/plan"
  std::string query;   // without the question mark
  WebHeaders headers;
  std::string body;
  // Of the body that comes, as its head says; 0: none, or nobody knows yet.
  uint64_t body_bytes = 0;
  // Who asks, as the router's guard knows them; 0: nobody.
  int64_t caller = 0;
  // Its name in answers (X-Request-Id), logs and the ledger: 32 hexadecimal digits.
  std::string id = {};
  std::chrono::steady_clock::time_point arrival = {};  // of its head
  // What the guard holds for it, as long as somebody has the request or this.
  std::shared_ptr<void> place = nullptr;

  std::string_view Header(std::string_view name) const { return FindHeader(headers, name); }
};

class WebAnswer;

struct WebResponse {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";  // Content-Type
  std::string body;
  WebHeaders headers = {};  // besides Content-Type, Content-Length and Connection
  // Not null: the answer comes from there, and what is above does not count (serve/http/answer.h).
  std::shared_ptr<WebAnswer> later = nullptr;

  std::string_view Header(std::string_view name) const { return FindHeader(headers, name); }
};

// Without white space; what is not UTF-8 in it is replaced by U+FFFD.
std::string JsonText(const nlohmann::ordered_json& json);

// {"error": {"message": ..., "field": ...}}; field is left out when it is empty.
WebResponse WebError(int status, std::string_view message, std::string_view field = {});

}  // namespace fathom
