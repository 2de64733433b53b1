#include "serve/openai/request/api_error.h"

#include <nlohmann/json.hpp>

namespace fathom {
namespace {

using Reason = AccessError::Reason;

int StatusOf(Reason reason) {
  switch (reason) {
    case Reason::kNoKey:
      return 401;
    case Reason::kForbidden:
      return 403;
    case Reason::kLedger:
      return 503;
    case Reason::kRate:
    case Reason::kTooLarge:
    case Reason::kBudget:
    case Reason::kOverloaded:
      return 429;
  }
  return 500;
}

const char* CodeOf(Reason reason) {
  switch (reason) {
    case Reason::kNoKey:
      return "invalid_api_key";
    case Reason::kForbidden:
      return "forbidden";
    case Reason::kLedger:
      return "ledger_unavailable";
    case Reason::kRate:
    case Reason::kTooLarge:
      return "rate_limit_exceeded";
    case Reason::kBudget:
      return "insufficient_quota";
    case Reason::kOverloaded:
      return "overloaded";
  }
  return "";
}

}  // namespace

ApiError::ApiError(const AccessError& error)
    : std::runtime_error(error.what()),
      status_(StatusOf(error.reason())),
      code_(CodeOf(error.reason())),
      retry_seconds_(error.retry_seconds()) {}

ApiError ApiError::Of(const std::string& param) const {
  std::string message = what();
  if (!param_.empty() && message.starts_with(param_)) message.replace(0, param_.size(), param);
  ApiError renamed(status_, message, param, code_);
  renamed.retry_seconds_ = retry_seconds_;
  return renamed;
}

std::string ApiError::Json() const {
  using nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) {
    return text.empty() ? ordered_json(nullptr) : ordered_json(text);
  };
  const char* type = code_ == "insufficient_quota" ? "insufficient_quota"
                     : status_ == 429              ? "rate_limit_error"
                     : status_ < 500               ? "invalid_request_error"
                                                   : "server_error";
  const ordered_json json = {{"error",
                              {{"message", what()},
                               {"type", type},
                               {"param", or_null(param_)},
                               {"code", or_null(code_)}}}};
  return JsonText(json);
}

WebResponse ApiError::Response() const {
  WebResponse response{.status = status_, .type = "application/json", .body = Json() + "\n"};
  if (retry_seconds_ > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(retry_seconds_));
  }
  if (status_ == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace fathom
