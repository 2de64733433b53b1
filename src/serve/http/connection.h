#pragma once

// Of this folder's .cc files alone: it includes Asio.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/http/answer.h"
#include "serve/http/router.h"
#include "serve/http/server.h"
#include "serve/http/stream.h"
#include "serve/message/message.h"
#include "serve/message/request_parser.h"
#include "serve/message/response_text.h"

namespace fathom {

// What a server's connections share; of the server's thread alone, but for the pool.
struct WebServerState {
  WebServerState(const WebServerOptions& server_options, WebRouter server_router)
      : options(server_options), router(std::move(server_router)), pool(server_options.workers) {}

  const WebServerOptions options;
  const WebRouter router;
  boost::asio::io_context io{1};
  boost::asio::thread_pool pool;
  size_t in_work = 0;     // requests that the pool has
  bool loopback = false;  // listens for this machine only
  bool stopping = false;
};

// A client's connection: one request after another, each answered before the next is read.
class WebConnection {
 public:
  WebConnection(WebServerState& server, WebStream::Socket&& socket, const TlsContext& tls)
      : server_(server), stream_(std::move(socket), tls) {}

  // Until the client or the server has had enough.
  boost::asio::awaitable<void> Serve();

  // Whether a request has begun to come and is not answered yet.
  bool in_work() const { return in_work_; }
  // Ends what waits for the client.
  void Cancel() { stream_.Cancel(); }
  void Close() { stream_.Close(); }

 private:
  struct Bell;
  class LaterGuard;

  // One request; whether another may come.
  boost::asio::awaitable<bool> ServeOne();
  // More of what the client sends; false: it has gone.
  boost::asio::awaitable<bool> ReadMore();
  // Reads until the parser has what is asked about, or a problem; false: the client has gone.
  boost::asio::awaitable<bool> ReadUntil(RequestParser& parser,
                                         bool (RequestParser::*is_reached)() const);
  // Asks for the body if the client waits for that, and reads it.
  boost::asio::awaitable<bool> ReadBody(RequestParser& parser);
  // What can be said of a request by its head.
  std::optional<WebResponse> Refusal(WebRequest& head) const;
  // What a handler says, on a thread of the pool.
  boost::asio::awaitable<WebResponse> Answer(WebRequest request);
  // False when the client has gone or takes too little.
  boost::asio::awaitable<bool> Write(WebResponse answer, ResponseFraming framing, bool is_head);
  boost::asio::awaitable<bool> WriteLater(WebAnswer& answer, ResponseFraming framing, bool is_head);
  // Rings when the client closes the connection.
  void WatchClient(const std::shared_ptr<Bell>& bell);
  void LookAgain(const std::shared_ptr<Bell>& bell);

  WebServerState& server_;
  WebStream stream_;
  std::string bytes_;  // come, and not taken yet
  bool in_work_ = false;
  int status_ = 0;  // of the last answer
};

}  // namespace fathom
