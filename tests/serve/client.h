#pragma once

// A client that says exactly the bytes it is told to, over one connection.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace fathom::test {

class Client {
 public:
  explicit Client(uint16_t port) : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience = {120, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { close(descriptor_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  int descriptor() const { return descriptor_; }

  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

  // One answer, headers and as much body as they promise; less when the server closes before.
  std::string Receive(bool has_body = true) {
    size_t end;
    while ((end = held_.find("\r\n\r\n")) == std::string::npos) {
      if (!More()) return std::exchange(held_, {});
    }
    size_t size = end + 4;
    const size_t length = held_.find("Content-Length: ");
    if (has_body && length < end) size += std::strtoul(held_.c_str() + length + 16, nullptr, 10);
    while (held_.size() < size && More()) {
    }
    std::string answer = held_.substr(0, size);
    held_.erase(0, size);
    return answer;
  }

  // What comes up to and with `text`; less when the server closes before.
  std::string ReceiveUntil(std::string_view text) {
    size_t at;
    while ((at = held_.find(text)) == std::string::npos) {
      if (!More()) return std::exchange(held_, {});
    }
    std::string received = held_.substr(0, at + text.size());
    held_.erase(0, received.size());
    return received;
  }

  // Whether the server has closed the connection, with nothing more to say.
  bool Closed() { return held_.empty() && !More() && !timed_out_; }

 private:
  bool More() {
    char bytes[65536];
    const ssize_t received = recv(descriptor_, bytes, sizeof(bytes), 0);
    if (received > 0) held_.append(bytes, static_cast<size_t>(received));
    timed_out_ = received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return received > 0;
  }

  int descriptor_;
  bool connected_ = false, timed_out_ = false;
  std::string held_;
};

// "GET PATH" to this machine.
inline std::string Get(std::string_view path, std::string_view headers = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(headers) +
         "\r\n";
}
inline std::string Post(std::string_view path, std::string_view body,
                        std::string_view headers = "") {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
         std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

// Of an answer; 0 when it is none.
inline int Status(std::string_view answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::atoi(answer.data() + 9) : 0;
}
inline bool Has(std::string_view answer, std::string_view text) {
  return answer.find(text) != std::string_view::npos;
}

}  // namespace fathom::test
