#pragma once

#include <functional>
#include <map>
#include <string>

#include "serve/http/message.h"

namespace fathom {

// Called on a worker thread of the server, several at a time. What it throws becomes a 500 whose
// text stays in the log.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

// Which handler answers what. Paths are compared as they were sent.
class HttpRouter {
 public:
  void Add(std::string method, std::string path, HttpHandler handler);
  // 404 for a path that nothing handles, 405 with Allow for a method that it does not take. HEAD
  // is answered by what answers GET.
  HttpResponse Answer(const HttpRequest& request) const;

 private:
  std::map<std::string, std::map<std::string, HttpHandler>, std::less<>> handlers_;
};

}  // namespace fathom
