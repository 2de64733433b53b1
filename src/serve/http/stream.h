#pragma once

// Of this folder's .cc files alone: it includes Asio.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "serve/http/tls.h"

namespace fathom {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// What connections are encrypted with: TLS 1.2 or newer. Null where there are no files; Error that
// names the file when one cannot be used.
TlsContext LoadTls(const TlsFiles& files);

// A connection's bytes, encrypted or not; whoever reads and writes them need not know.
class WebStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  // tls: null: as they are.
  WebStream(Socket&& socket, const TlsContext& tls);
  ~WebStream();
  WebStream(const WebStream&) = delete;
  WebStream& operator=(const WebStream&) = delete;

  // What waits longer from now on ends, as if the client had gone.
  void ExpiresAfter(std::chrono::nanoseconds time);
  // Ends what waits.
  void Cancel();
  void Close();

  bool is_encrypted() const;
  // Begins to encrypt; false: the client does not, or has gone.
  boost::asio::awaitable<bool> Handshake();
  // Some bytes, once there are any; 0: the client has gone.
  boost::asio::awaitable<size_t> Read(std::span<char> to);
  // All of them; false: the client has gone.
  boost::asio::awaitable<bool> Write(std::string_view bytes);
  // Says goodbye, and then throws away what still comes, so much at most.
  boost::asio::awaitable<void> Linger(size_t bytes);

  // Calls once when something can be read, the end of the connection being something, or when the
  // connection is closed here.
  void OnReadable(std::function<void()> callback);
  // Whether bytes on the wire wait to be read.
  bool HasBytes();
  // Whether the client has closed its side; for encrypted connections, where that shows behind
  // bytes that nobody has read yet.
  bool HasHungUp();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fathom
