#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "serve/accounts/access_error.h"
#include "serve/message/message.h"

namespace fathom {

// What a client of the API is told, in the shape of OpenAI's errors:
// {"error": {"message", "type", "param", "code"}}.
class ApiError : public std::runtime_error {
 public:
  // The type is "rate_limit_error" for 429 ("insufficient_quota" where that is the code),
  // "invalid_request_error" for others below 500, otherwise "server_error". param: the field that
  // is wrong; empty: none.
  ApiError(int status, const std::string& message, std::string param = "", std::string code = "")
      : std::runtime_error(message),
        status_(status),
        param_(std::move(param)),
        code_(std::move(code)),
        retry_seconds_(status == 429 || status == 503 ? 1 : 0) {}
  // Why a key's request is not taken.
  explicit ApiError(const AccessError& error);

  int status() const { return status_; }
  const std::string& param() const { return param_; }
  // The same error, of a field that is called otherwise, in the message too, where that begins with
  // the field's name.
  ApiError Of(const std::string& param) const;
  // The error as JSON text, as it also appears inside a stream.
  std::string Json() const;
  WebResponse Response() const;

 private:
  int status_;
  std::string param_, code_;
  int64_t retry_seconds_;  // Retry-After; 0: none
};

}  // namespace fathom
