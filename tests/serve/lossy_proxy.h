#pragma once

// A way to a Unix socket that breaks off at the worst moment.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace fathom::test {

// Passes on what one client at a time sends to a port of this machine, and what it is answered.
// Once armed with a text, it passes on what has that text, waits for the answer, keeps it, and
// closes the connection: the client cannot know whether what it asked for was done.
class LossyProxy {
 public:
  explicit LossyProxy(std::string socket)
      : socket_(std::move(socket)), listening_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in here = {.sin_family = AF_INET};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(here);
    bind(listening_, reinterpret_cast<sockaddr*>(&here), size);
    listen(listening_, 8);
    getsockname(listening_, reinterpret_cast<sockaddr*>(&here), &size);
    port_ = ntohs(here.sin_port);
    thread_ = std::thread([this] {
      for (int client; (client = accept(listening_, nullptr, nullptr)) >= 0;) Serve(client);
    });
  }
  // After its clients.
  ~LossyProxy() {
    shutdown(listening_, SHUT_RDWR);
    thread_.join();
    close(listening_);
  }
  LossyProxy(const LossyProxy&) = delete;
  LossyProxy& operator=(const LossyProxy&) = delete;

  uint16_t port() const { return port_; }
  void Arm(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }

 private:
  void Serve(int client) {
    const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {.sun_family = AF_UNIX};
    socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    bool keeps = false;
    while (true) {
      pollfd ends[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
      poll(ends, 2, -1);
      char bytes[65536];
      const bool from_client = ends[0].revents != 0;
      const ssize_t size = recv(from_client ? client : server, bytes, sizeof(bytes), 0);
      if (size <= 0 || (keeps && !from_client)) break;
      if (from_client) keeps |= Has({bytes, static_cast<size_t>(size)});
      send(from_client ? server : client, bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
    }
    close(client);
    close(server);
  }

  // Whether it is armed with a text that is here; then no longer.
  bool Has(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    if (text_.empty() || bytes.find(text_) == std::string_view::npos) return false;
    text_.clear();
    return true;
  }

  const std::string socket_;
  const int listening_;
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::string text_;
  std::thread thread_;
};

}  // namespace fathom::test
