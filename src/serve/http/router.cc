#include "serve/http/router.h"

#include "base/log.h"

namespace fathom {

void WebRouter::Add(std::string method, std::string path, WebHandler handler) {
  handlers_[std::move(path)][std::move(method)] = std::move(handler);
}

WebResponse WebRouter::Answer(const WebRequest& request) const {
  const auto methods = handlers_.find(request.path);
  if (methods == handlers_.end()) return WebError(404, "there is nothing at this address");
  const auto handler = methods->second.find(request.method == "HEAD" ? "GET" : request.method);
  if (handler == methods->second.end()) {
    WebResponse response = WebError(405, "this address does not take that method");
    std::string allowed;
    for (const auto& [method, unused] : methods->second) {
      allowed += (allowed.empty() ? "" : ", ") + method + (method == "GET" ? ", HEAD" : "");
    }
    response.headers.emplace_back("Allow", std::move(allowed));
    return response;
  }
  try {
    return handler->second(request);
  } catch (const std::exception& error) {
    spdlog::error("{} {}: {}", request.method, request.path, error.what());
    return WebError(500, "the server failed; its log says how");
  }
}

}  // namespace fathom
