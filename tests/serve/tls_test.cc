// HTTPS, with certificates made here.

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "serve/client.h"
#include "serve/http/answer.h"
#include "serve/running_server.h"

namespace fathom {
namespace {

using test::Has;
using test::Running;
using test::Status;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

// What a BIO in memory has been told to write.
template <typename Write>
std::string Pem(Write write) {
  BIO* bio = BIO_new(BIO_s_mem());
  EXPECT_EQ(write(bio), 1);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

// A self-signed certificate of localhost, as two files.
class Files {
 public:
  Files(const TemporaryDirectory& directory, const std::string& name)
      : files_{directory / (name + ".pem"), directory / (name + ".key")} {
    Make(1);
  }
  const TlsFiles& files() const { return files_; }
  // Writes another pair in the place of the first.
  void Make(long serial) {
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), name);
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    WriteFileAtomically(files_.certificate,
                        Pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); }));
    WriteFileAtomically(files_.key, Pem([&](BIO* bio) {
                          return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0,
                                                          nullptr, nullptr);
                        }));
  }

 private:
  TlsFiles files_;
};

// A client that trusts one certificate.
class TlsClient {
 public:
  TlsClient(uint16_t port, const std::filesystem::path& trusted, int newest = TLS1_3_VERSION)
      : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_security_level(context_, 0);  // or it would not offer what is old
    SSL_CTX_set_max_proto_version(context_, newest);
    EXPECT_EQ(SSL_CTX_load_verify_locations(context_, trusted.c_str(), nullptr), 1);
    bio_ = BIO_new_ssl_connect(context_);
    BIO_set_conn_hostname(bio_, ("127.0.0.1:" + std::to_string(port)).c_str());
    connected_ = BIO_do_connect(bio_) == 1 && BIO_do_handshake(bio_) == 1;
    ERR_clear_error();
  }
  ~TlsClient() {
    BIO_free_all(bio_);  // says goodbye and closes
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  long serial() const {
    SSL* ssl = nullptr;
    BIO_get_ssl(bio_, &ssl);
    return ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(ssl)));
  }
  void Send(std::string_view bytes) {
    EXPECT_EQ(BIO_write(bio_, bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  // What comes up to and with `text`; less when the server closes before.
  std::string ReceiveUntil(std::string_view text) {
    std::string received;
    char byte;
    while (!received.ends_with(text) && BIO_read(bio_, &byte, 1) == 1) received += byte;
    return received;
  }

 private:
  SSL_CTX* context_;
  BIO* bio_;
  bool connected_ = false;
};

WebRouter Routes() {
  WebRouter router;
  router.Add("POST", "/echo",
             [](const WebRequest& request) { return WebResponse{.body = request.body + "."}; });
  return router;
}

TEST(Tls, AnswersEncrypted) {
  const TemporaryDirectory directory;
  const Files files(directory, "mine");
  Running running({.tls = files.files()}, Routes());
  EXPECT_TRUE(running.server().Address().starts_with("https://127.0.0.1:"));
  TlsClient client(running.port(), files.files().certificate);
  ASSERT_TRUE(client.connected());
  client.Send(test::Post("/echo", "hello"));
  EXPECT_TRUE(Has(client.ReceiveUntil("hello."), "200 OK"));
  // Large ones come in many records, and the connection goes on.
  const std::string large(300'000, 'x');
  client.Send(test::Post("/echo", large));
  EXPECT_TRUE(Has(client.ReceiveUntil("x."), large));
}

TEST(Tls, SpeaksNothingOlderAndNothingPlain) {
  const TemporaryDirectory directory;
  const Files files(directory, "mine"), others(directory, "others");
  Running running({.tls = files.files()}, Routes());
  const std::filesystem::path& trusted = files.files().certificate;
  EXPECT_TRUE(TlsClient(running.port(), trusted, TLS1_2_VERSION).connected());
  EXPECT_FALSE(TlsClient(running.port(), trusted, TLS1_1_VERSION).connected());
  EXPECT_FALSE(TlsClient(running.port(), others.files().certificate).connected());
  test::Client plain(running.port());
  plain.Send(test::Post("/echo", "hello"));
  EXPECT_EQ(Status(plain.Receive()), 0);
}

TEST(Tls, WhatIsRefusedIsReadableToTheEnd) {
  const TemporaryDirectory directory;
  const Files files(directory, "mine");
  Running running({.body_bytes = 100, .tls = files.files()}, Routes());
  TlsClient client(running.port(), files.files().certificate);
  client.Send(test::Post("/echo", std::string(20'000, 'x')));
  EXPECT_TRUE(Has(client.ReceiveUntil("longer than 100 bytes\"}}\n"), "413"));
}

TEST(Tls, WhoeverLeavesIsNoticed) {
  const TemporaryDirectory directory;
  const Files files(directory, "mine");
  std::latch gone(1);
  WebRouter router;
  router.Add("GET", "/later", [&](const WebRequest&) {
    const auto answer = std::make_shared<WebAnswer>();
    answer->OnGone([&] { gone.count_down(); });
    answer->Begin({.type = "text/event-stream"});
    answer->Write("data: begun\n\n");
    return WebResponse{.later = answer};
  });
  Running running({.tls = files.files()}, std::move(router));
  {
    TlsClient client(running.port(), files.files().certificate);
    client.Send(test::Get("/later"));
    client.ReceiveUntil("begun");
  }
  gone.wait();
}

TEST(Tls, AtSighupTheCertificateIsReadAgain) {
  const TemporaryDirectory directory;
  Files files(directory, "mine");
  std::atomic<int> reloads = 0;
  Running running({.stop_at_signals = true, .reload = [&] { ++reloads; }, .tls = files.files()},
                  Routes());
  const auto serial = [&] { return TlsClient(running.port(), files.files().certificate).serial(); };
  TlsClient before(running.port(), files.files().certificate);
  EXPECT_EQ(before.serial(), 1);
  files.Make(2);
  std::raise(SIGHUP);
  // The old one is served until the new one has been read.
  while (!TlsClient(running.port(), files.files().certificate).connected()) {
    std::this_thread::yield();
  }
  EXPECT_EQ(serial(), 2);
  EXPECT_EQ(reloads, 1);
  before.Send(test::Post("/echo", "hello"));
  EXPECT_TRUE(Has(before.ReceiveUntil("hello."), "200 OK"));
  // What is wrong changes nothing.
  WriteFileAtomically(files.files().key, "no key");
  std::raise(SIGHUP);
  while (reloads < 2) std::this_thread::yield();
  EXPECT_EQ(serial(), 2);
}

TEST(Tls, SaysWhichFileIsWrong) {
  const TemporaryDirectory directory;
  const Files files(directory, "mine"), others(directory, "others");
  const auto serve = [](const TlsFiles& tls) { WebServer({.tls = tls}, {}); };
  EXPECT_ERROR(serve({directory / "none.pem", files.files().key}), "none.pem");
  EXPECT_ERROR(serve({files.files().certificate, directory / "none.key"}), "none.key");
  EXPECT_ERROR(serve({files.files().certificate, others.files().key}), "others.key");
  EXPECT_ERROR(serve({files.files().key, files.files().key}), "mine.key");
}

}  // namespace
}  // namespace fathom
