#include "serve/http/router.h"

#include "base/log.h"

namespace fathom {
namespace {

// What a client sent, cut to what a message can have.
std::string Shown(std::string_view text) {
  constexpr size_t kMost = 100;
  const bool is_long = text.size() > kMost;
  return std::string(text.substr(0, kMost)) + (is_long ? "..." : "");
}

}  // namespace

void WebRouter::Add(std::string method, std::string path, WebHandler handler, WebAccess access) {
  routes_[std::move(path)][std::move(method)] = {std::move(handler), access};
}

const WebRouter::Route* WebRouter::Find(const WebRequest& request) const {
  const auto methods = routes_.find(request.path);
  if (methods == routes_.end()) return nullptr;
  const auto route = methods->second.find(request.method == "HEAD" ? "GET" : request.method);
  return route == methods->second.end() ? nullptr : &route->second;
}

std::optional<WebResponse> WebRouter::Guard(WebRequest& head) const {
  if (!guard_) return std::nullopt;
  const Route* route = Find(head);
  return guard_(head, route == nullptr ? WebAccess::kUser : route->access);
}

WebResponse WebRouter::ErrorResponse(int status, std::string_view message) const {
  return error_form_ ? error_form_(status, message) : WebError(status, message);
}

WebResponse WebRouter::Answer(const WebRequest& request) const {
  const auto methods = routes_.find(request.path);
  if (methods == routes_.end())
    return ErrorResponse(404, fmt::format("there is nothing at {}", Shown(request.path)));
  const Route* route = Find(request);
  if (route == nullptr) {
    std::string allowed;
    for (const auto& [method, unused] : methods->second) {
      allowed += (allowed.empty() ? "" : ", ") + method + (method == "GET" ? ", HEAD" : "");
    }
    WebResponse response = ErrorResponse(
        405, fmt::format("{} takes {}, not {}", request.path, allowed, Shown(request.method)));
    response.headers.emplace_back("Allow", std::move(allowed));
    return response;
  }
  try {
    return route->handler(request);
  } catch (const std::exception& error) {
    spdlog::error("{} {}: {}", request.method, request.path, error.what());
    return ErrorResponse(500, "the server failed; its log says how");
  }
}

}  // namespace fathom
