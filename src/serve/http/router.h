#pragma once

#include <functional>
#include <map>
#include <string>

#include "serve/http/message.h"

namespace fathom {

// Called on a worker thread of the server, several at a time. What it throws becomes a 500 whose
// text stays in the log.
using WebHandler = std::function<WebResponse(const WebRequest&)>;

// Which handler answers what. Paths are compared as they were sent.
class WebRouter {
 public:
  void Add(std::string method, std::string path, WebHandler handler);
  // 404 for a path that nothing handles, 405 with Allow for a method that it does not take. HEAD
  // is answered by what answers GET.
  WebResponse Answer(const WebRequest& request) const;

 private:
  std::map<std::string, std::map<std::string, WebHandler>, std::less<>> handlers_;
};

}  // namespace fathom
