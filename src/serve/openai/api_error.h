#pragma once

#include <stdexcept>
#include <string>

#include "serve/http/message.h"

namespace fathom {

// What a client of the API is told, in the shape of OpenAI's errors:
// {"error": {"message", "type", "param", "code"}}.
class ApiError : public std::runtime_error {
 public:
  // status: 400 "invalid_request_error", 404 the same, 429 "rate_limit_error", otherwise
  // "server_error". param: the field that is wrong; empty: none.
  ApiError(int status, const std::string& message, std::string param = "", std::string code = "")
      : std::runtime_error(message),
        status_(status),
        param_(std::move(param)),
        code_(std::move(code)) {}

  int status() const { return status_; }
  // The error as JSON text, as it also appears inside a stream.
  std::string Json() const;
  WebResponse Response() const;

 private:
  int status_;
  std::string param_, code_;
};

}  // namespace fathom
