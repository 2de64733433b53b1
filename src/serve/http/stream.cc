#include "serve/http/stream.h"

#include <fmt/format.h>
#include <poll.h>

#include "base/error.h"

namespace fathom {
namespace {

namespace ssl = boost::asio::ssl;

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

bool WebStream::HasHungUp() {
  pollfd descriptor = {.fd = socket().native_handle(), .events = POLLRDHUP, .revents = 0};
  return poll(&descriptor, 1, 0) > 0 && (descriptor.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace fathom
