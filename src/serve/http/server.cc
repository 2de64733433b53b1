#include "serve/http/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <list>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "serve/http/connection.h"
#include "serve/http/stream.h"

namespace fathom {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptAgain{100};
// For the ends of answers that took too long.
constexpr std::chrono::milliseconds kLastWords{1000};

tcp::endpoint Endpoint(const WebServerOptions& options) {
  error_code error;
  const asio::ip::address address =
      asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
  if (error) {
    throw Error(options.host, "is not an address",
                "for instance 127.0.0.1 (this machine only), 0.0.0.0 or ::");
  }
  return {address, options.port};
}

}  // namespace

class WebServer::Listener {
 public:
  Listener(const WebServerOptions& options, WebRouter router)
      : state_(options, std::move(router)), tls_(LoadTls(options.tls)) {
    if (options.listening) {
      TakeOver(*options.listening);
    } else {
      Listen(Endpoint(options), options);
    }
    endpoint_ = acceptor_.local_endpoint();
    state_.loopback = endpoint_.address().is_loopback();
  }

  const tcp::endpoint& endpoint() const { return endpoint_; }
  bool is_encrypted() const { return !state_.options.tls.empty(); }

  void Run() {
    if (state_.options.stop_at_signals) {
      signals_.add(SIGINT);
      signals_.add(SIGTERM);
      signals_.async_wait([this](const error_code& error, int) {
        if (!error) BeginStop();
      });
      hangup_.add(SIGHUP);
      AwaitHangup();
    }
    asio::co_spawn(state_.io, Accept(), asio::detached);
    state_.io.run();
    state_.pool.join();
  }

  void Stop() {
    asio::post(state_.io, [this] { BeginStop(); });
  }

 private:
  void Listen(const tcp::endpoint& endpoint, const WebServerOptions& options) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      throw Error(fmt::format("{} port {}", options.host, options.port),
                  fmt::format("cannot listen: {}", error.message()), "another --port may be free");
    }
  }

  void TakeOver(int socket) {
    error_code error;
    acceptor_.assign(tcp::v4(), socket, error);
    // Asio is told the family, and the socket knows it.
    if (!error && acceptor_.local_endpoint(error).protocol() == tcp::v6()) {
      acceptor_.release();
      acceptor_.assign(tcp::v6(), socket, error);
    }
    if (error) {
      throw Error(fmt::format("file descriptor {}", socket),
                  fmt::format("cannot be listened on: {}", error.message()));
    }
  }

  void BeginStop() {
    if (state_.stopping) return;
    state_.stopping = true;
    if (state_.options.stopping) state_.options.stopping();
    signals_.clear();
    signals_.cancel();
    hangup_.cancel();
    acceptor_.close();
    retry_.cancel();
    for (WebConnection& connection : connections_) {
      if (!connection.in_work()) connection.Cancel();
    }
    if (connections_.empty()) return;
    drain_.expires_after(state_.options.drain_time);
    drain_.async_wait([this](const error_code& error) {
      if (!error) GiveUp();
    });
  }

  void GiveUp() {
    if (state_.options.drained) state_.options.drained();
    drain_.expires_after(kLastWords);
    drain_.async_wait([this](const error_code& error) {
      if (error) return;
      for (WebConnection& connection : connections_) connection.Close();
    });
  }

  void AwaitHangup() {
    hangup_.async_wait([this](const error_code& error, int) {
      if (error) return;
      asio::post(state_.pool, [this] { Reload(); });
      AwaitHangup();
    });
  }

  // On a worker: files are read.
  void Reload() {
    try {
      if (state_.options.reload) state_.options.reload();
      asio::post(state_.io, [this, tls = LoadTls(state_.options.tls)] { tls_ = tls; });
    } catch (const std::exception& error) {
      spdlog::error("not reloaded: {}", error.what());
    }
  }

  asio::awaitable<void> Accept() {
    while (!state_.stopping) {
      error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (state_.stopping) break;
      if (error) {  // too many open files, for instance: some will be closed
        retry_.expires_after(kAcceptAgain);
        co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      if (connections_.size() >= state_.options.connections) continue;  // closes it
      socket.set_option(tcp::no_delay(true), error);
      connections_.emplace_front(state_, std::move(socket), tls_);
      asio::co_spawn(state_.io, Serve(connections_.begin()), asio::detached);
    }
  }

  asio::awaitable<void> Serve(std::list<WebConnection>::iterator connection) {
    co_await connection->Serve();
    connections_.erase(connection);
    if (state_.stopping && connections_.empty()) drain_.cancel();
  }

  WebServerState state_;
  TlsContext tls_;  // of connections to come
  tcp::acceptor acceptor_{state_.io};
  tcp::endpoint endpoint_;
  asio::signal_set signals_{state_.io}, hangup_{state_.io};
  asio::steady_timer drain_{state_.io}, retry_{state_.io};
  std::list<WebConnection> connections_;
};

WebServer::WebServer(const WebServerOptions& options, WebRouter router)
    : listener_(std::make_unique<Listener>(options, std::move(router))) {}
WebServer::~WebServer() = default;
uint16_t WebServer::port() const { return listener_->endpoint().port(); }

std::string WebServer::Address() const {
  const tcp::endpoint endpoint = listener_->endpoint();
  const std::string address = endpoint.address().to_string();
  const char* scheme = listener_->is_encrypted() ? "https" : "http";
  return endpoint.address().is_v6() ? fmt::format("{}://[{}]:{}", scheme, address, endpoint.port())
                                    : fmt::format("{}://{}:{}", scheme, address, endpoint.port());
}

void WebServer::Run() { listener_->Run(); }
void WebServer::Stop() { listener_->Stop(); }

}  // namespace fathom
