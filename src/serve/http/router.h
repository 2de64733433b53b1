#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "serve/message/message.h"

namespace fathom {

// Called on a worker thread of the server, several at a time. What it throws becomes a 500 whose
// text stays in the log.
using WebHandler = std::function<WebResponse(const WebRequest&)>;

// Who may call a handler; what that means says the guard.
enum class WebAccess : uint8_t { kOpen, kUser, kAdmin };

// Looks at a request of which only the head is there, sets its caller, and answers it when it is
// not taken. Called on the server's thread: it must not wait.
using WebGuard = std::function<std::optional<WebResponse>(WebRequest&, WebAccess)>;

// An error that the server itself answers with, in the form that its clients know.
using WebErrorForm = std::function<WebResponse(int status, std::string_view message)>;

// Which handler answers what. Paths are compared as they were sent.
class WebRouter {
 public:
  void Add(std::string method, std::string path, WebHandler handler,
           WebAccess access = WebAccess::kUser);
  // Without one, everybody may call everything.
  void SetGuard(WebGuard guard) { guard_ = std::move(guard); }
  // Without one, WebError's.
  void SetErrorForm(WebErrorForm form) { error_form_ = std::move(form); }
  WebResponse ErrorResponse(int status, std::string_view message) const;
  // What the guard says of a request's head. What nothing handles is for users.
  std::optional<WebResponse> Guard(WebRequest& head) const;
  // 404 for a path that nothing handles, 405 with Allow for a method that it does not take. HEAD
  // is answered by what answers GET.
  WebResponse Answer(const WebRequest& request) const;

 private:
  struct Route {
    WebHandler handler;
    WebAccess access;
  };
  // Null when there is none.
  const Route* Find(const WebRequest& request) const;

  std::map<std::string, std::map<std::string, Route>, std::less<>> routes_;  // path, method
  WebGuard guard_;
  WebErrorForm error_form_;
};

}  // namespace fathom
