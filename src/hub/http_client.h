#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/function_ref.h"
#include "base/interrupt.h"

namespace fathom {

struct HttpOptions {
  // Sent as "Authorization: Bearer ..." to the origin (scheme, host, port) of the request's URL
  // and to no other that it redirects to. Over plain http it goes to this machine alone (localhost,
  // 127.0.0.0/8, ::1), and through no proxy. Empty: none.
  std::string token;
  long connect_seconds = 30;
  // A transfer slower than 1 KiB/s for so long is given up; 0: never.
  long stall_seconds = 30;
  // A request that takes longer, from connecting to its last byte, is given up; 0: never.
  long total_seconds = 0;
  // Polled at least once a second; true ends the transfer with Cancelled. Ctrl-C by default.
  std::function<bool()> cancelled = InterruptGuard::Requested;
};

// Work was stopped because HttpOptions::cancelled said so; not an error.
class Cancelled : public std::exception {
 public:
  const char* what() const noexcept override { return "cancelled"; }
};

// Names in lower case.
using HttpHeaders = std::map<std::string, std::string, std::less<>>;

struct HttpResponse {
  // Of the last answer; 0 when none arrived.
  int status = 0;
  HttpHeaders headers;
  // Of all answers that came from the request's own origin, the last of each name: a hub describes
  // a file in the redirect to where its bytes are.
  HttpHeaders origin_headers;
  // Why the body did not arrive whole (no connection, a drop, a stall); empty when it did. Another
  // try may do better.
  std::string failure;
  // How long the server asks to be left alone.
  std::optional<double> retry_after_seconds;

  // Empty when there is none.
  std::string_view Header(std::string_view name) const;
  std::string_view OriginHeader(std::string_view name) const;
};

// A body that is held whole.
struct HttpReply {
  HttpResponse head;
  std::string body;
  bool too_large = false;  // the body was given up at the bound
};

// HTTP and HTTPS. One request at a time; a thread has a client of its own. Connections are
// kept between requests. Proxies are taken from the environment (https_proxy, no_proxy, ...) except
// for this machine, and certificates are checked against the system's or CURL_CA_BUNDLE's or
// SSL_CERT_FILE's.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Takes a piece of the body; false: no more of it is wanted.
  using Sink = FunctionRef<bool(const HttpResponse& head, std::string_view data)>;

  // Follows redirects, never from https to http. `first_byte` > 0 asks for the rest of the body
  // from there (a server may answer 206, or 200 with all of it). Bodies of 2xx answers go to
  // `sink`, whose exceptions are passed on. Throws Error for what no other try will change (a URL
  // that is none, a token for a host that plain http would carry it to, a certificate that does not
  // hold, endless redirects), Cancelled.
  HttpResponse Get(const std::string& url, int64_t first_byte, Sink sink);

  // Sends JSON; the answer's body comes whatever its status, at most `most_bytes` of it. Redirects
  // are not followed: status and Location are the caller's. Throws as Get does.
  HttpReply Post(const std::string& url, std::string_view json, size_t most_bytes);

 private:
  struct Transfer;

  // Sets what all requests have in common; the headers have to live until the request is done.
  struct Headers;
  void Prepare(const std::string& url, Transfer& transfer, Headers& headers);
  // Does what was prepared; false: the body did not arrive whole, and the response says why.
  bool Perform(const std::string& url, Transfer& transfer);
  // One answer, redirects not followed; where it redirects to, or "".
  std::string GetOnce(const std::string& url, int64_t first_byte, Transfer& transfer);

  HttpOptions options_;
  void* handle_;
};

// One path component or query value, percent-encoded.
std::string EscapeUrl(std::string_view text);

}  // namespace fathom
