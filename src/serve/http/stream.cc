#include "serve/http/stream.h"

#include <poll.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ssl = asio::ssl;
using asio::ip::tcp;

void Check(const boost::system::error_code& error, const std::filesystem::path& file,
           const char* hint) {
  if (error) throw Error(file.string(), error.message(), hint);
}

}  // namespace

TlsContext LoadTls(const TlsFiles& files) {
  if (files.empty()) return nullptr;
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  context->set_options(ssl::context::default_workarounds | ssl::context::single_dh_use);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  boost::system::error_code error;
  context->use_certificate_chain_file(files.certificate.string(), error);
  Check(error, files.certificate, "a certificate and its chain in PEM form are expected");
  context->use_private_key_file(files.key.string(), ssl::context::pem, error);
  Check(error, files.key,
        "the private key of the certificate, in PEM form and without a passphrase, is expected");
  return context;
}

void CheckTls(const TlsFiles& files) { LoadTls(files); }

struct WebStream::State {
  beast::tcp_stream tcp;
  std::optional<beast::ssl_stream<beast::tcp_stream&>> tls;
};

WebStream::WebStream(Socket&& socket, const TlsContext& tls)
    : state_(new State{.tcp = beast::tcp_stream(std::move(socket)), .tls = std::nullopt}) {
  if (tls != nullptr) state_->tls.emplace(state_->tcp, *tls);
}

WebStream::~WebStream() = default;

void WebStream::ExpiresAfter(std::chrono::nanoseconds time) { state_->tcp.expires_after(time); }
void WebStream::Cancel() { state_->tcp.cancel(); }
void WebStream::Close() { state_->tcp.close(); }
bool WebStream::is_encrypted() const { return state_->tls.has_value(); }

asio::awaitable<bool> WebStream::Handshake() {
  beast::error_code error;
  co_await state_->tls->async_handshake(ssl::stream_base::server,
                                        asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<size_t> WebStream::Read(std::span<char> to) {
  const asio::mutable_buffer buffer(to.data(), to.size());
  beast::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  size_t bytes;
  if (state_->tls) {
    bytes = co_await state_->tls->async_read_some(buffer, std::move(token));
  } else {
    bytes = co_await state_->tcp.async_read_some(buffer, std::move(token));
  }
  co_return error ? 0 : bytes;
}

asio::awaitable<bool> WebStream::Write(std::string_view bytes) {
  const asio::const_buffer buffer(bytes.data(), bytes.size());
  beast::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  if (state_->tls) {
    co_await asio::async_write(*state_->tls, buffer, std::move(token));
  } else {
    co_await asio::async_write(state_->tcp, buffer, std::move(token));
  }
  co_return !error;
}

asio::awaitable<void> WebStream::Linger(size_t bytes) {
  beast::error_code error;
  if (state_->tls) {
    co_await state_->tls->async_shutdown(asio::redirect_error(asio::use_awaitable, error));
  }
  state_->tcp.socket().shutdown(tcp::socket::shutdown_send, error);
  std::vector<char> rest(64 << 10);
  for (size_t read = 0; !error && read < bytes;) {
    read += co_await state_->tcp.async_read_some(asio::buffer(rest),
                                                 asio::redirect_error(asio::use_awaitable, error));
  }
}

void WebStream::OnReadable(std::function<void()> callback) {
  state_->tcp.socket().async_wait(
      tcp::socket::wait_read,
      [callback = std::move(callback)](const beast::error_code&) { callback(); });
}

bool WebStream::HasBytes() {
  beast::error_code error;
  return state_->tcp.socket().available(error) > 0;
}

bool WebStream::HasHungUp() {
  pollfd descriptor = {
      .fd = state_->tcp.socket().native_handle(), .events = POLLRDHUP, .revents = 0};
  return poll(&descriptor, 1, 0) > 0 && (descriptor.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace fathom
