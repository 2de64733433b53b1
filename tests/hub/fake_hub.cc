#include "hub/fake_hub.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace fathom::test {
namespace {

std::string Hex(const EVP_MD* kind, std::string_view content) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(content.data(), content.size(), digest, &size, kind, nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

FakeRequest Parse(std::string_view text) {
  FakeRequest request;
  const size_t space = text.find(' ');
  request.target = text.substr(space + 1, text.find(' ', space + 1) - space - 1);
  for (size_t begin = text.find("\r\n") + 2; begin < text.size();) {
    const size_t end = text.find("\r\n", begin);
    const std::string_view line = text.substr(begin, end - begin);
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) break;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    request.headers[name] = line.substr(colon + 2);
    begin = end + 2;
  }
  return request;
}

}  // namespace

std::string Sha256Hex(std::string_view content) { return Hex(EVP_sha256(), content); }

std::string GitBlobHex(std::string_view content) {
  std::string blob = fmt::format("blob {}", content.size());
  blob += '\0';
  return Hex(EVP_sha1(), blob.append(content));
}

std::string FakeRequest::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

int64_t FakeRequest::first_byte() const {
  const std::string range = Header("range");
  return range.empty() ? 0 : std::stoll(range.substr(range.find('=') + 1));
}

void FakeConnection::Send(std::string_view bytes) {
  while (open_ && !bytes.empty()) {
    const ssize_t count = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      open_ = false;
      return;
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void FakeConnection::Answer(std::string_view status, std::string_view headers,
                            std::string_view body) {
  Send(fmt::format("HTTP/1.1 {}\r\n{}Content-Length: {}\r\n\r\n", status, headers, body.size()));
  Send(body);
}

FakeHub::FakeHub() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, generic, size) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, generic, &size) != 0) {
    throw std::runtime_error("the fake hub cannot listen");
  }
  port_ = ntohs(address.sin_port);
}

FakeHub::~FakeHub() {
  End();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    shutdown(listener_, SHUT_RDWR);  // ends accept()
  }
  if (acceptor_.joinable()) acceptor_.join();
  Settle();
  close(listener_);
}

void FakeHub::Settle() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void FakeHub::End() {
  ended_ = true;
  ended_.notify_all();
}

void FakeHub::Add(const std::string& name, std::string content, bool is_large) {
  Settle();
  files_[name] = {std::move(content), is_large};
}

std::string FakeHub::endpoint() {
  const std::lock_guard lock(mutex_);
  if (!acceptor_.joinable()) acceptor_ = std::thread([this] { Accept(); });
  return fmt::format("http://127.0.0.1:{}", port_);
}

std::vector<FakeRequest> FakeHub::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<FakeRequest> FakeHub::RequestsFor(std::string_view text) {
  std::vector<FakeRequest> found;
  for (FakeRequest& request : requests()) {
    if (request.target.find(text) != std::string::npos) found.push_back(std::move(request));
  }
  return found;
}

std::string FakeHub::listing() const {
  nlohmann::json json = {{"id", "org/model"}, {"sha", kCommit}, {"gated", false}};
  json["siblings"] = nlohmann::json::array();
  for (const auto& [name, file] : files_) {
    // The blob of an LFS file is its pointer; any id will do.
    nlohmann::json sibling = {{"rfilename", name},
                              {"size", file.content.size()},
                              {"blobId", GitBlobHex(file.is_large ? "pointer" : file.content)}};
    if (file.is_large) {
      sibling["lfs"] = {
          {"sha256", Sha256Hex(file.content)}, {"size", file.content.size()}, {"pointerSize", 134}};
    }
    json["siblings"].push_back(std::move(sibling));
  }
  return json.dump();
}

void FakeHub::Accept() {
  while (true) {
    const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) return;
    const int yes = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    const std::lock_guard lock(mutex_);
    if (closing_) {
      close(descriptor);
      return;
    }
    connections_.push_back(descriptor);
    threads_.emplace_back([this, descriptor] { Serve(descriptor); });
  }
}

void FakeHub::Serve(int descriptor) {
  FakeConnection connection(descriptor);
  std::string buffer;
  while (connection.open()) {
    size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      char block[4096];
      const ssize_t count = recv(descriptor, block, sizeof(block), 0);
      if (count <= 0) {
        connection.Close();
        break;
      }
      buffer.append(block, static_cast<size_t>(count));
    }
    if (!connection.open()) break;
    FakeRequest request = Parse(std::string_view(buffer).substr(0, end + 2));
    buffer.erase(0, end + 4);
    const std::string length = request.Header("content-length");
    const size_t body = length.empty() ? 0 : std::stoull(length);
    while (buffer.size() < body) {
      char block[4096];
      const ssize_t count = recv(descriptor, block, sizeof(block), 0);
      if (count <= 0) break;
      buffer.append(block, static_cast<size_t>(count));
    }
    request.body = buffer.substr(0, body);
    buffer.erase(0, body);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (!intercept || !intercept(request, connection)) Respond(request, connection);
  }
  const std::lock_guard lock(mutex_);
  connections_.remove(descriptor);
  close(descriptor);
}

void FakeHub::Respond(const FakeRequest& request, FakeConnection& connection) {
  const std::string commit_line = fmt::format("X-Repo-Commit: {}\r\n", kCommit);
  if (request.target == "/api/models/org/model/revision/main?blobs=true") {
    connection.Answer("200 OK", "Content-Type: application/json\r\n",
                      listing_override.empty() ? listing() : listing_override);
    return;
  }
  if (request.target.starts_with("/api/models/org/model/")) {
    connection.Answer("404 Not Found", "X-Error-Code: RevisionNotFound\r\n", "");
    return;
  }
  if (request.target.starts_with("/api/")) {
    connection.Answer("404 Not Found", "X-Error-Code: RepoNotFound\r\n", "");
    return;
  }
  const std::string hub_path = fmt::format("/org/model/resolve/{}/", kCommit);
  constexpr std::string_view kStorePath = "/store/";
  const bool at_hub = request.target.starts_with(hub_path);
  const bool at_store = request.target.starts_with(kStorePath);
  std::string name = request.target.substr(at_hub     ? hub_path.size()
                                           : at_store ? kStorePath.size()
                                                      : 0);
  name = name.substr(0, name.find('?'));
  const auto found = files_.find(name);
  if ((!at_hub && !at_store) || found == files_.end()) {
    connection.Answer("404 Not Found", "X-Error-Code: EntryNotFound\r\n", "");
    return;
  }
  const std::string& content = found->second.content;
  if (at_hub && found->second.is_large) {
    connection.Answer("302 Found",
                      fmt::format("{}X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\n"
                                  "Location: http://localhost:{}/store/{}?signature=secret\r\n",
                                  commit_line, Sha256Hex(content), content.size(), port_, name),
                      "Found. Redirecting");
    return;
  }
  const auto begin = static_cast<size_t>(request.first_byte());
  const std::string identity = at_hub ? commit_line : "";
  if (begin > 0 && begin >= content.size()) {
    connection.Answer("416 Range Not Satisfiable",
                      fmt::format("Content-Range: bytes */{}\r\n", content.size()), "");
  } else if (begin > 0) {
    connection.Answer("206 Partial Content",
                      fmt::format("{}Content-Range: bytes {}-{}/{}\r\n", identity, begin,
                                  content.size() - 1, content.size()),
                      std::string_view(content).substr(begin));
  } else {
    connection.Answer("200 OK", identity + "Accept-Ranges: bytes\r\n", content);
  }
}

}  // namespace fathom::test
