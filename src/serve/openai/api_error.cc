#include "serve/openai/api_error.h"

#include <nlohmann/json.hpp>

namespace fathom {

std::string ApiError::Json() const {
  using nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) {
    return text.empty() ? ordered_json(nullptr) : ordered_json(text);
  };
  const char* type = status_ == 429  ? "rate_limit_error"
                     : status_ < 500 ? "invalid_request_error"
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
  if (status_ == 429 || status_ == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace fathom
