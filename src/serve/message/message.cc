#include "serve/message/message.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fathom {

std::string_view FindHeader(const WebHeaders& headers, std::string_view name) {
  const auto same = [](char a, char b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(a) == lower(b);
  };
  for (const auto& [key, value] : headers) {
    if (std::equal(key.begin(), key.end(), name.begin(), name.end(), same)) return value;
  }
  return {};
}

std::string JsonText(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

WebResponse WebError(int status, std::string_view message, std::string_view field) {
  using nlohmann::ordered_json;
  ordered_json error = {{"message", message}};
  if (!field.empty()) error["field"] = field;
  const ordered_json json = {{"error", std::move(error)}};
  return {.status = status, .type = "application/json", .body = JsonText(json) + "\n"};
}

}  // namespace fathom
