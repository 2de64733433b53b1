#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "serve/http/router.h"
#include "serve/http/tls.h"

namespace fathom {

// A request that has been answered, or whose client went before.
struct WebRecord {
  std::string id, method, path;  // WebRequest's
  int64_t caller = 0;
  int status = 0;
  double seconds = 0;  // from its head to the end of its answer
  bool whole = false;  // the client took all of the answer
};

struct WebServerOptions {
  // An address, or "localhost".
  std::string host = "127.0.0.1";
  // Whether whoever reaches the server may ask it; empty: they may. If so, pages of other sites
  // must not: a request is refused that comes from one (Origin), and, where the server listens on a
  // loopback address, one that does not name this machine in Host, since another site's name can be
  // made to point here.
  std::function<bool()> is_open;
  uint16_t port = 0;  // 0: one that is free
  // A socket that listens already, on `host`: the server takes it over. Otherwise it makes its own.
  std::optional<int> listening;
  // A request that is larger is refused: 431, 413.
  uint32_t header_bytes = 16 << 10;
  size_t body_bytes = 1 << 20;
  // Between requests of a connection; for a request's headers; for its body; for taking an answer.
  // A connection that is slower is closed.
  std::chrono::milliseconds idle_time{60'000}, header_time{10'000}, body_time{30'000},
      write_time{30'000};
  // After so long without anything new, an answer that comes as server-sent events gets a comment,
  // so that nobody between here and the client takes the connection for dead.
  std::chrono::milliseconds keep_alive_time{15'000};
  // Connections beyond this are closed at once.
  size_t connections = 1024;
  // Threads that run handlers, and requests that may wait for one: beyond, 503 with Retry-After.
  size_t workers = 2, waiting = 64;
  // How long requests in work may take to end after Stop(), before their connections are closed.
  std::chrono::milliseconds drain_time{10'000};
  // Stop() at the first SIGINT or SIGTERM; the second then does what the system does.
  bool stop_at_signals = false;
  // At SIGHUP, where stop_at_signals: this is called, on a worker, and then the files of TLS are
  // read again; connections from then on have what they say. What goes wrong is logged, and all
  // stays as it was.
  std::function<void()> reload;
  TlsFiles tls;  // empty: without TLS
  // Called on the server's thread when it begins to stop, and when drain_time is over: what ends
  // answers then has a second for it, before their connections are closed.
  std::function<void()> stopping, drained;
  // Called on the server's thread for every request whose head could be read; it must not wait.
  std::function<void(const WebRecord&)> answered;
};

// HTTP/1.1 over TCP: connections are coroutines of one thread, handlers run on others.
class WebServer {
 public:
  // Listens. Throws Error when it cannot.
  WebServer(const WebServerOptions& options, WebRouter router);
  ~WebServer();
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;

  uint16_t port() const;
  // "http://127.0.0.1:8090", "https://..." with TLS
  std::string Address() const;
  // Serves until it is stopped and drained.
  void Run();
  // From any thread: takes no more connections and requests, and ends Run() when those in work are
  // answered.
  void Stop();

 private:
  class Listener;
  std::unique_ptr<Listener> listener_;
};

}  // namespace fathom
