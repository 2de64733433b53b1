#include "serve/http/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "serve/http/request_id.h"

namespace fathom {
namespace {

namespace asio = boost::asio;

// A refused client may still be sending: what it sends is thrown away for so long and so much,
// because closing at once would reset the connection and take the answer with it.
constexpr std::chrono::milliseconds kLingerTime{1000};
constexpr size_t kLingerBytes = 4 << 20;
// How often a client with TLS, of which bytes have come that nobody reads yet, is looked at.
constexpr std::chrono::milliseconds kLookAgain{200};
// The largest body that is read although its request is refused.
constexpr size_t kRefusedBytes = 64 << 10;

// The name in a Host header, without the port: "[::1]:80" is "[::1]".
std::string_view HostName(std::string_view host) {
  const size_t bracket = host.find(']');
  return host.substr(0, host.find(':', bracket == std::string_view::npos ? 0 : bracket));
}

bool NamesThisMachine(std::string_view host, const WebServerOptions& options) {
  const std::string_view name = HostName(host);
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]" || name == options.host;
}

// "https://example.com:8080" is of the host "example.com:8080".
bool IsOf(std::string_view origin, std::string_view host) {
  const size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && origin.substr(scheme + 3) == host;
}

// Whether the body of a refused request is read all the same, so that the connection can go on.
bool IsSmall(const RequestParser& parser) {
  return parser.body_bytes().value_or(SIZE_MAX) <= kRefusedBytes && !parser.has_expectation();
}

}  // namespace

// What tells the coroutine of an answer that comes later to go on. Others hold it, too, and may
// call after the answer's end.
struct WebConnection::Bell {
  explicit Bell(asio::io_context& io) : timer(io), look_again(io) {}
  asio::steady_timer timer, look_again;
  bool client_has_gone = false, answered = false;
};

// However an answer that comes later ends, whoever writes it is told.
class WebConnection::LaterGuard {
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

// Below, what is awaited gets a name before it is asked about: of `if (!co_await ...)` in a loop
// g++ 12 makes code that traps.

asio::awaitable<void> WebConnection::Serve() {
  try {
    stream_.ExpiresAfter(server_.options.header_time);
    bool again = true;
    if (stream_.is_encrypted()) again = co_await stream_.Handshake();
    while (again && !server_.stopping) again = co_await ServeOne();
  } catch (const std::exception& error) {  // out of memory
    spdlog::error("a connection was closed: {}", error.what());
  }
}

asio::awaitable<bool> WebConnection::ServeOne() {
  const WebServerOptions& options = server_.options;
  in_work_ = false;
  if (bytes_.empty()) {
    stream_.ExpiresAfter(options.idle_time);
    const bool is_here = co_await ReadMore();
    if (!is_here) co_return false;
  }
  in_work_ = true;
  RequestParser parser(options.header_bytes, options.body_bytes);
  stream_.ExpiresAfter(options.header_time);
  const bool has_come = co_await ReadUntil(parser, &RequestParser::has_head);
  if (!has_come) co_return false;
  WebRequest request;
  WebRecord record;
  std::optional<WebResponse> refusal;
  if (!parser.problem()) {
    request = parser.Head();
    request.id = NewRequestId();
    request.arrival = std::chrono::steady_clock::now();
    record = {.id = request.id, .method = request.method, .path = request.path};
    refusal = Refusal(request);
    if (!refusal || IsSmall(parser)) {
      const bool is_whole = co_await ReadBody(parser);
      if (!is_whole) co_return false;
    }
  }
  const std::chrono::steady_clock::time_point arrival = request.arrival;
  ResponseFraming framing = {.keep_alive = false, .request_id = record.id};
  bool is_head = false;
  WebResponse answer;
  if (parser.problem()) {
    answer = server_.router.ErrorResponse(parser.problem()->status, parser.problem()->message);
  } else {
    framing.version = parser.version();
    framing.keep_alive = parser.wants_keep_alive() && parser.is_done();
    is_head = request.method == "HEAD";
    if (refusal) {
      answer = std::move(*refusal);
    } else {
      record.caller = request.caller;
      request.body = parser.TakeBody();
      answer = co_await Answer(std::move(request));
    }
    framing.keep_alive = framing.keep_alive && !server_.stopping;
  }
  if (answer.later) {
    framing.chunked = framing.version >= 11;
    framing.keep_alive = framing.keep_alive && framing.chunked;
    record.whole = co_await WriteLater(*answer.later, framing, is_head);
  } else {
    record.whole = co_await Write(std::move(answer), framing, is_head);
  }
  if (options.answered && !record.id.empty()) {
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - arrival;
    record.seconds = time.count();
    record.status = status_;
    options.answered(record);
  }
  if (!record.whole || framing.keep_alive) co_return record.whole;
  stream_.ExpiresAfter(kLingerTime);
  co_await stream_.Linger(kLingerBytes);
  co_return false;
}

asio::awaitable<bool> WebConnection::ReadMore() {
  std::array<char, 16 << 10> buffer;
  const size_t count = co_await stream_.Read(buffer);
  bytes_.append(buffer.data(), count);
  co_return count > 0;
}

asio::awaitable<bool> WebConnection::ReadUntil(RequestParser& parser,
                                               bool (RequestParser::*is_reached)() const) {
  bytes_.erase(0, parser.Take(bytes_));
  while (!(parser.*is_reached)() && !parser.problem()) {
    const bool is_here = co_await ReadMore();
    if (!is_here) co_return false;
    bytes_.erase(0, parser.Take(bytes_));
  }
  co_return true;
}

asio::awaitable<bool> WebConnection::ReadBody(RequestParser& parser) {
  if (parser.is_done()) co_return true;
  stream_.ExpiresAfter(server_.options.body_time);
  if (parser.expects_continue()) {
    const bool is_here = co_await stream_.Write(kContinue);
    if (!is_here) co_return false;
  }
  co_return co_await ReadUntil(parser, &RequestParser::is_done);
}

std::optional<WebResponse> WebConnection::Refusal(WebRequest& head) const {
  const WebRouter& router = server_.router;
  if (!head.path.starts_with('/')) return router.ErrorResponse(400, "the address has no path");
  const auto& is_open = server_.options.is_open;
  if (!is_open || is_open()) {
    const std::string_view host = head.Header("Host"), origin = head.Header("Origin");
    if (server_.loopback && !NamesThisMachine(host, server_.options)) {
      return router.ErrorResponse(
          421,
          "without keys this server is for this machine only, and the request's Host names "
          "another: ask for keys, or let the proxy before it send 'Host: localhost'");
    }
    if (!origin.empty() && !IsOf(origin, host)) {
      return router.ErrorResponse(
          403, "a page of another site sent this, and without keys none may ask this server");
    }
  }
  return router.Guard(head);
}

asio::awaitable<WebResponse> WebConnection::Answer(WebRequest request) {
  if (server_.in_work >= server_.options.workers + server_.options.waiting) {
    WebResponse busy = server_.router.ErrorResponse(503, "too many requests wait already");
    if (busy.Header("Retry-After").empty()) busy.headers.emplace_back("Retry-After", "1");
    co_return busy;
  }
  ++server_.in_work;
  const auto work = [](const WebRouter& router,
                       const WebRequest& asked) -> asio::awaitable<WebResponse> {
    co_return router.Answer(asked);
  };
  // Computed by a worker, continued here.
  WebResponse answer =
      co_await asio::co_spawn(server_.pool, work(server_.router, request), asio::use_awaitable);
  --server_.in_work;
  co_return answer;
}

asio::awaitable<bool> WebConnection::Write(WebResponse answer, ResponseFraming framing,
                                           bool is_head) {
  status_ = answer.status;
  framing.chunked = false;
  // Of an answer that says "not modified" it would be the length of what is not sent (RFC 9110).
  if (answer.status != 304) framing.length = answer.body.size();
  stream_.ExpiresAfter(server_.options.write_time);
  std::string bytes = ResponseHead(answer, framing);
  if (!is_head) bytes += answer.body;
  co_return co_await stream_.Write(bytes);
}

asio::awaitable<bool> WebConnection::WriteLater(WebAnswer& answer, ResponseFraming framing,
                                                bool is_head) {
  const auto bell = std::make_shared<Bell>(server_.io);
  const LaterGuard guard(answer, *bell);
  // Both run on this thread, so that nothing gets lost between looking for news and waiting.
  answer.OnNews([&io = server_.io, bell] { asio::post(io, [bell] { bell->timer.cancel(); }); });
  WatchClient(bell);
  bool is_events = false;
  for (;;) {
    WebAnswer::News news = answer.Take();
    if (bell->client_has_gone || news.too_slow) co_return false;
    if (news.whole) {
      framing.keep_alive = framing.keep_alive && !server_.stopping;
      co_return co_await Write(std::move(*news.whole), framing, is_head);
    }
    if (!news.head && news.bytes.empty() && !news.closed) {
      bell->timer.expires_after(server_.options.keep_alive_time);
      boost::system::error_code rung;
      co_await bell->timer.async_wait(asio::redirect_error(asio::use_awaitable, rung));
      if (rung || !is_events) continue;
      news.bytes = ": nothing yet\n\n";
    }
    stream_.ExpiresAfter(server_.options.write_time);
    std::string bytes;
    if (news.head) {
      status_ = news.head->status;
      is_events = news.head->type.starts_with("text/event-stream");
      bytes = ResponseHead(*news.head, framing);
    }
    if (!news.bytes.empty()) bytes += framing.chunked ? Chunk(news.bytes) : news.bytes;
    if (news.closed && framing.chunked) bytes += Chunk({});
    const bool is_written = co_await stream_.Write(bytes);
    if (!is_written || news.closed) co_return is_written;
  }
}

// While an answer is under way nothing is read from its client; that it closes the connection
// shows as something to read of which there are no bytes. With TLS, bytes of a goodbye come
// before.
void WebConnection::WatchClient(const std::shared_ptr<Bell>& bell) {
  stream_.OnReadable([this, bell] {
    if (bell->answered) return;
    const bool has_bytes = stream_.HasBytes();
    if (has_bytes && !stream_.is_encrypted()) return;
    if (has_bytes && !stream_.HasHungUp()) {
      LookAgain(bell);
      return;
    }
    bell->client_has_gone = true;
    bell->timer.cancel();
  });
}

void WebConnection::LookAgain(const std::shared_ptr<Bell>& bell) {
  bell->look_again.expires_after(kLookAgain);
  bell->look_again.async_wait([this, bell](const boost::system::error_code& error) {
    if (!error && !bell->answered) WatchClient(bell);
  });
}

}  // namespace fathom
