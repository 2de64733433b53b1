#pragma once

// Of server.cc and stream.cc alone: it includes Asio.

#include <boost/asio/async_result.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "serve/http/tls.h"

namespace fathom {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// What connections are encrypted with: TLS 1.2 or newer. Null where there are no files; Error that
// names the file when one cannot be used.
TlsContext LoadTls(const TlsFiles& files);

// A connection's bytes, encrypted or not; whoever reads and writes them need not know.
class WebStream {
 public:
  using executor_type = boost::beast::tcp_stream::executor_type;
  using Socket = boost::asio::ip::tcp::socket;

  // tls: null: as they are.
  WebStream(Socket&& socket, const TlsContext& tls) : tcp_(std::move(socket)) {
    if (tls != nullptr) tls_.emplace(tcp_, *tls);
  }

  executor_type get_executor() { return tcp_.get_executor(); }
  Socket& socket() { return tcp_.socket(); }
  // The bytes as they are on the wire.
  boost::beast::tcp_stream& raw() { return tcp_; }
  void expires_after(std::chrono::nanoseconds time) { tcp_.expires_after(time); }
  void cancel() { tcp_.cancel(); }
  void close() { tcp_.close(); }

  bool is_encrypted() const { return tls_.has_value(); }
  // Whether the client has closed its side; for encrypted connections, where that shows behind
  // bytes that nobody has read yet.
  bool HasHungUp();

  template <typename Token>
  auto Handshake(Token&& token) {
    return tls_->async_handshake(boost::asio::ssl::stream_base::server, std::forward<Token>(token));
  }
  // Says goodbye, and waits for the client's.
  template <typename Token>
  auto Shutdown(Token&& token) {
    return tls_->async_shutdown(std::forward<Token>(token));
  }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::beast::error_code, size_t)>(
        [this](auto handler, const Buffers& to) {
          if (tls_) {
            tls_->async_read_some(to, std::move(handler));
          } else {
            tcp_.async_read_some(to, std::move(handler));
          }
        },
        token, buffers);
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::beast::error_code, size_t)>(
        [this](auto handler, const Buffers& from) {
          if (tls_) {
            tls_->async_write_some(from, std::move(handler));
          } else {
            tcp_.async_write_some(from, std::move(handler));
          }
        },
        token, buffers);
  }

 private:
  boost::beast::tcp_stream tcp_;
  std::optional<boost::beast::ssl_stream<boost::beast::tcp_stream&>> tls_;
};

}  // namespace fathom
