#include "serve/http/server.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <list>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "serve/http/answer.h"
#include "serve/http/request_id.h"
#include "serve/http/stream.h"

namespace fathom {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

// A refused client may still be sending: what it sends is thrown away for so long and so much,
// because closing at once would reset the connection and take the answer with it.
constexpr std::chrono::milliseconds kLingerTime{1000};
constexpr size_t kLingerBytes = 4 << 20;
constexpr std::chrono::milliseconds kAcceptAgain{100};
// How often a client with TLS, of which bytes have come that nobody reads yet, is looked at.
constexpr std::chrono::milliseconds kLookAgain{200};
// The largest body that is read although its request is refused.
constexpr size_t kRefusedBytes = 64 << 10;

tcp::endpoint Endpoint(const WebServerOptions& options) {
  beast::error_code error;
  const asio::ip::address address =
      asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
  if (error) {
    throw Error(options.host, "is not an address",
                "for instance 127.0.0.1 (this machine only), 0.0.0.0 or ::");
  }
  return {address, options.port};
}

// The name in a Host header, without the port: "[::1]:80" is "[::1]".
std::string_view HostName(std::string_view host) {
  const size_t bracket = host.find(']');
  return host.substr(0, host.find(':', bracket == std::string_view::npos ? 0 : bracket));
}

// Everything but the body.
WebRequest HeadOf(const http::request_parser<http::string_body>& parser) {
  const http::request<http::string_body>& request = parser.get();
  const std::string_view target(request.target().data(), request.target().size());
  const size_t question = target.find('?');
  WebRequest head;
  head.method = std::string(request.method_string());
  head.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) head.query = std::string(target.substr(question + 1));
  for (const auto& field : request) {
    head.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  head.body_bytes = parser.content_length().value_or(0);
  return head;
}

// What a request that cannot be read is told; status 0: nothing, the client has gone.
WebResponse ReadError(const beast::error_code& error, const WebServerOptions& options) {
  if (error == http::error::header_limit) {
    return WebError(431, fmt::format("headers are longer than {} bytes", options.header_bytes));
  }
  if (error == http::error::body_limit) {
    return WebError(413, fmt::format("the body is longer than {} bytes", options.body_bytes));
  }
  const bool malformed =
      error.category() == http::make_error_code(http::error::bad_value).category();
  if (!malformed || error == http::error::end_of_stream || error == http::error::partial_message) {
    return {.status = 0};
  }
  return WebError(400, fmt::format("this is not HTTP: {}", error.message()));
}

}  // namespace

class WebServer::Listener {
 public:
  Listener(const WebServerOptions& options, WebRouter router)
      : options_(options),
        router_(std::move(router)),
        tls_(LoadTls(options.tls)),
        pool_(options.workers) {
    const tcp::endpoint endpoint = Endpoint(options);
    loopback_ = endpoint.address().is_loopback();
    beast::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      throw Error(fmt::format("{} port {}", options.host, options.port),
                  fmt::format("cannot listen: {}", error.message()), "another --port may be free");
    }
    endpoint_ = acceptor_.local_endpoint();
  }

  const tcp::endpoint& endpoint() const { return endpoint_; }
  bool is_encrypted() const { return !options_.tls.empty(); }

  void Run() {
    if (options_.stop_at_signals) {
      signals_.add(SIGINT);
      signals_.add(SIGTERM);
      signals_.async_wait([this](const beast::error_code& error, int) {
        if (!error) BeginStop();
      });
      hangup_.add(SIGHUP);
      AwaitHangup();
    }
    asio::co_spawn(io_, Accept(), asio::detached);
    io_.run();
    pool_.join();
  }

  void Stop() {
    asio::post(io_, [this] { BeginStop(); });
  }

 private:
  struct Connection {
    Connection(tcp::socket&& socket, const TlsContext& tls) : stream(std::move(socket), tls) {}
    WebStream stream;
    beast::flat_buffer buffer;
    bool in_work = false;         // a request has begun to come and is not answered yet
    WebRecord* record = nullptr;  // of the answer that is being written
  };
  using ConnectionAt = std::list<Connection>::iterator;

  void BeginStop() {
    if (stopping_) return;
    stopping_ = true;
    signals_.clear();
    signals_.cancel();
    hangup_.cancel();
    acceptor_.close();
    retry_.cancel();
    for (Connection& connection : connections_) {
      if (!connection.in_work) connection.stream.cancel();
    }
    if (connections_.empty()) return;
    drain_.expires_after(options_.drain_time);
    drain_.async_wait([this](const beast::error_code& error) {
      if (error) return;
      for (Connection& connection : connections_) connection.stream.close();
    });
  }

  void AwaitHangup() {
    hangup_.async_wait([this](const beast::error_code& error, int) {
      if (error) return;
      asio::post(pool_, [this] { Reload(); });
      AwaitHangup();
    });
  }

  // On a worker: files are read.
  void Reload() {
    try {
      if (options_.reload) options_.reload();
      asio::post(io_, [this, tls = LoadTls(options_.tls)] { tls_ = tls; });
    } catch (const std::exception& error) {
      spdlog::error("not reloaded: {}", error.what());
    }
  }

  asio::awaitable<void> Accept() {
    while (!stopping_) {
      beast::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (stopping_) break;
      if (error) {  // too many open files, for instance: some will be closed
        retry_.expires_after(kAcceptAgain);
        co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      if (connections_.size() >= options_.connections) continue;  // closes it
      socket.set_option(tcp::no_delay(true), error);
      connections_.emplace_front(std::move(socket), tls_);
      asio::co_spawn(io_, Serve(connections_.begin()), asio::detached);
    }
  }

  asio::awaitable<void> Serve(ConnectionAt at) {
    try {
      bool again = !at->stream.is_encrypted() || co_await Handshake(*at);
      while (again && !stopping_) again = co_await ServeOne(*at);
    } catch (const std::exception& error) {  // out of memory
      spdlog::error("a connection was closed: {}", error.what());
    }
    connections_.erase(at);
    if (stopping_ && connections_.empty()) drain_.cancel();
  }

  asio::awaitable<bool> Handshake(Connection& connection) {
    beast::error_code error;
    connection.stream.expires_after(options_.header_time);
    co_await connection.stream.Handshake(asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  // One request; whether another may come on this connection.
  asio::awaitable<bool> ServeOne(Connection& connection) {
    connection.in_work = false;
    beast::error_code error;
    if (connection.buffer.size() == 0) {
      connection.stream.expires_after(options_.idle_time);
      const auto space = connection.buffer.prepare(4096);
      const size_t bytes = co_await connection.stream.async_read_some(
          space, asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return false;
      connection.buffer.commit(bytes);
    }
    connection.in_work = true;
    http::request_parser<http::string_body> parser;
    parser.header_limit(options_.header_bytes);
    parser.body_limit(options_.body_bytes);
    connection.stream.expires_after(options_.header_time);
    co_await http::async_read_header(connection.stream, connection.buffer, parser,
                                     asio::redirect_error(asio::use_awaitable, error));
    WebRequest request;
    WebRecord record;
    std::optional<WebResponse> refusal;
    if (!error) {
      request = HeadOf(parser);
      request.id = NewRequestId();
      request.arrival = std::chrono::steady_clock::now();
      record = {.id = request.id, .method = request.method, .path = request.path};
      refusal = Refusal(request);
      const bool wants_body = !refusal || IsSmall(parser);
      if (wants_body) co_await ReadBody(connection, parser, error);
    }
    const std::chrono::steady_clock::time_point arrival = request.arrival;
    bool keep_alive = false, is_head = false;
    unsigned version = 11;
    WebResponse answer;
    if (!error) {
      version = parser.get().version();
      keep_alive = parser.get().keep_alive() && parser.is_done();
      is_head = parser.get().method() == http::verb::head;
      if (refusal) {
        answer = std::move(*refusal);
      } else {
        record.caller = request.caller;
        request.body = std::move(parser.get().body());
        answer = co_await Answer(std::move(request));
      }
      keep_alive = keep_alive && !stopping_;
    } else {
      answer = ReadError(error, options_);
      if (answer.status == 0) co_return false;
    }
    connection.record = &record;
    bool written;
    if (answer.later) {
      keep_alive = keep_alive && version >= 11;
      written = co_await WriteLater(connection, *answer.later, keep_alive, is_head, version >= 11);
    } else {
      written = co_await Write(connection, std::move(answer), keep_alive, is_head);
    }
    record.whole = written;
    connection.record = nullptr;
    if (options_.answered && !record.id.empty()) {
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - arrival;
      record.seconds = time.count();
      options_.answered(record);
    }
    if (!written || keep_alive) co_return written;
    co_await Linger(connection);
    co_return false;
  }

  // What can be said of a request by its head.
  std::optional<WebResponse> Refusal(WebRequest& head) const {
    if (!head.path.starts_with('/')) return WebError(400, "the address has no path");
    if (loopback_ && !NamesThisMachine(head.Header("Host"))) {
      return WebError(421, "this server is for this machine only");
    }
    return router_.Guard(head);
  }

  // Whether the body of a refused request is read all the same, so that the connection can go on.
  static bool IsSmall(const http::request_parser<http::string_body>& parser) {
    return parser.content_length().value_or(SIZE_MAX) <= kRefusedBytes &&
           parser.get()[http::field::expect].empty();
  }

  asio::awaitable<void> ReadBody(Connection& connection,
                                 http::request_parser<http::string_body>& parser,
                                 beast::error_code& error) {
    if (parser.is_done()) co_return;
    connection.stream.expires_after(options_.body_time);
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::string_body> go_on(http::status::continue_, 11);
      co_await http::async_write(connection.stream, go_on,
                                 asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
    }
    co_await http::async_read(connection.stream, connection.buffer, parser,
                              asio::redirect_error(asio::use_awaitable, error));
  }

  asio::awaitable<WebResponse> Answer(WebRequest request) {
    if (in_work_ >= options_.workers + options_.waiting) {
      WebResponse busy = WebError(503, "too many requests wait already");
      busy.headers.emplace_back("Retry-After", "1");
      co_return busy;
    }
    ++in_work_;
    // Computed by a worker, continued here.
    auto work = Work(request);
    WebResponse answer = co_await asio::co_spawn(pool_, std::move(work), asio::use_awaitable);
    --in_work_;
    co_return answer;
  }

  asio::awaitable<WebResponse> Work(const WebRequest& request) {
    co_return router_.Answer(request);
  }

  bool NamesThisMachine(std::string_view host) const {
    const std::string_view name = HostName(host);
    return name == "localhost" || name == "127.0.0.1" || name == "[::1]" || name == options_.host;
  }

  // What tells the coroutine of an answer that comes later to go on. Others hold it, too, and may
  // call after the answer's end.
  struct Bell {
    explicit Bell(asio::io_context& io) : timer(io), look_again(io) {}
    asio::steady_timer timer, look_again;
    bool client_has_gone = false, answered = false;
  };

  // However an answer that comes later ends, whoever writes it is told.
  class LaterGuard {
   public:
    LaterGuard(WebAnswer& answer, Bell& bell) : answer_(answer), bell_(bell) {}
    ~LaterGuard() {
      bell_.answered = true;
      bell_.look_again.cancel();
      answer_.Gone();
    }
    LaterGuard(const LaterGuard&) = delete;
    LaterGuard& operator=(const LaterGuard&) = delete;

   private:
    WebAnswer& answer_;
    Bell& bell_;
  };

  // False when the client has gone or takes too little.
  asio::awaitable<bool> WriteLater(Connection& connection, WebAnswer& answer, bool keep_alive,
                                   bool is_head, bool chunked) {
    const auto bell = std::make_shared<Bell>(io_);
    const LaterGuard guard(answer, *bell);
    // Both run on this thread, so that nothing gets lost between looking for news and waiting.
    answer.OnNews([this, bell] { asio::post(io_, [bell] { bell->timer.cancel(); }); });
    WatchClient(connection, bell);
    bool is_events = false;
    beast::error_code error;
    for (;;) {
      WebAnswer::News news = answer.Take();
      if (bell->client_has_gone || news.too_slow) co_return false;
      if (news.whole) {
        co_return co_await Write(connection, std::move(*news.whole), keep_alive && !stopping_,
                                 is_head);
      }
      connection.stream.expires_after(options_.write_time);
      if (news.head) {
        is_events = news.head->type.starts_with("text/event-stream");
        co_await WriteHead(connection, *news.head, keep_alive, chunked, error);
      } else if (news.bytes.empty() && !news.closed) {
        bell->timer.expires_after(options_.keep_alive_time);
        beast::error_code rung;
        co_await bell->timer.async_wait(asio::redirect_error(asio::use_awaitable, rung));
        if (rung || !is_events) continue;
        news.bytes = ": nothing yet\n\n";
        connection.stream.expires_after(options_.write_time);
      }
      if (!error && !news.bytes.empty()) {
        co_await WritePart(connection, news.bytes, chunked, error);
      }
      if (!error && news.closed) {
        if (chunked) {
          const auto last = http::make_chunk_last();
          co_await asio::async_write(connection.stream, last,
                                     asio::redirect_error(asio::use_awaitable, error));
        }
        co_return !error;
      }
      if (error) co_return false;
    }
  }

  template <typename Response>
  static void Note(Connection& connection, int status, Response& response) {
    connection.record->status = status;
    if (!connection.record->id.empty()) response.set("X-Request-Id", connection.record->id);
  }

  asio::awaitable<void> WriteHead(Connection& connection, const WebResponse& head, bool keep_alive,
                                  bool chunked, beast::error_code& error) {
    http::response<http::empty_body> response(static_cast<http::status>(head.status), 11);
    response.set(http::field::content_type, head.type);
    for (const auto& [name, value] : head.headers) response.set(name, value);
    Note(connection, head.status, response);
    response.keep_alive(keep_alive);
    response.chunked(chunked);
    http::response_serializer<http::empty_body> serializer(response);
    co_await http::async_write_header(connection.stream, serializer,
                                      asio::redirect_error(asio::use_awaitable, error));
  }

  asio::awaitable<void> WritePart(Connection& connection, const std::string& bytes, bool chunked,
                                  beast::error_code& error) {
    const asio::const_buffer buffer(bytes.data(), bytes.size());
    if (chunked) {
      const auto chunk = http::make_chunk(buffer);
      co_await asio::async_write(connection.stream, chunk,
                                 asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await asio::async_write(connection.stream, buffer,
                                 asio::redirect_error(asio::use_awaitable, error));
    }
  }

  // While an answer is under way nothing is read from its client; that it closes the connection
  // shows as something to read of which there are no bytes. With TLS, bytes of a goodbye come
  // before.
  void WatchClient(Connection& connection, const std::shared_ptr<Bell>& bell) {
    connection.stream.socket().async_wait(
        tcp::socket::wait_read, [this, bell, &connection](const beast::error_code& error) {
          if (bell->answered) return;
          WebStream& stream = connection.stream;
          beast::error_code ignored;
          const bool has_bytes = !error && stream.socket().available(ignored) > 0;
          if (has_bytes && !stream.is_encrypted()) return;
          if (has_bytes && !stream.HasHungUp()) {
            LookAgain(connection, bell);
            return;
          }
          bell->client_has_gone = true;
          bell->timer.cancel();
        });
  }

  void LookAgain(Connection& connection, const std::shared_ptr<Bell>& bell) {
    bell->look_again.expires_after(kLookAgain);
    bell->look_again.async_wait([this, bell, &connection](const beast::error_code& error) {
      if (!error && !bell->answered) WatchClient(connection, bell);
    });
  }

  asio::awaitable<bool> Write(Connection& connection, WebResponse answer, bool keep_alive,
                              bool is_head) {
    http::response<http::string_body> response(static_cast<http::status>(answer.status), 11);
    response.set(http::field::content_type, answer.type);
    for (const auto& [name, value] : answer.headers) response.set(name, value);
    Note(connection, answer.status, response);
    response.content_length(answer.body.size());
    response.keep_alive(keep_alive);
    if (!is_head) response.body() = std::move(answer.body);
    connection.stream.expires_after(options_.write_time);
    beast::error_code error;
    co_await http::async_write(connection.stream, response,
                               asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  asio::awaitable<void> Linger(Connection& connection) {
    beast::error_code error;
    connection.stream.expires_after(kLingerTime);
    if (connection.stream.is_encrypted()) {
      co_await connection.stream.Shutdown(asio::redirect_error(asio::use_awaitable, error));
    }
    connection.stream.socket().shutdown(tcp::socket::shutdown_send, error);
    for (size_t read = 0; !error && read < kLingerBytes;) {
      connection.buffer.clear();
      const auto space = connection.buffer.prepare(65536);
      read += co_await connection.stream.raw().async_read_some(
          space, asio::redirect_error(asio::use_awaitable, error));
    }
  }

  const WebServerOptions options_;
  const WebRouter router_;
  TlsContext tls_;  // of connections to come
  asio::io_context io_{1};
  asio::thread_pool pool_;
  tcp::acceptor acceptor_{io_};
  tcp::endpoint endpoint_;
  asio::signal_set signals_{io_}, hangup_{io_};
  asio::steady_timer drain_{io_}, retry_{io_};
  std::list<Connection> connections_;
  size_t in_work_ = 0;
  bool loopback_ = false, stopping_ = false;
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
