#include "cli/service_manager.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <array>
#include <cstdint>
#include <utility>

#include "base/error.h"

namespace fathom {

std::optional<InheritedSocket> TakeInheritedSocket() {
  const int count = sd_listen_fds(/*unset_environment=*/1);
  if (count <= 0) return std::nullopt;
  if (count > 1) {
    throw Error("LISTEN_FDS", fmt::format("there are {} sockets, and a server has one", count),
                "one ListenStream= in the .socket unit");
  }
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  std::array<char, INET6_ADDRSTRLEN> text = {};
  const int socket = SD_LISTEN_FDS_START;
  if (sd_is_socket_inet(socket, AF_UNSPEC, SOCK_STREAM, /*listening=*/1, 0) <= 0 ||
      getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, text.data(), text.size(),
                  nullptr, 0, NI_NUMERICHOST) != 0) {
    throw Error("LISTEN_FDS", "the socket is none to listen on",
                "ListenStream= of the .socket unit has to be an address and a port");
  }
  return InheritedSocket{socket, text.data()};
}

void NotifyReady(const std::string& status) {
  sd_notify(0, fmt::format("READY=1\nSTATUS={}", status).c_str());
}

void NotifyStopping() { sd_notify(0, "STOPPING=1\nSTATUS=answers under way end"); }

Watchdog::Watchdog(std::function<bool()> is_well) : is_well_(std::move(is_well)) {
  uint64_t within = 0;  // it takes the server for dead when it has heard nothing for so long
  if (sd_watchdog_enabled(0, &within) <= 0) return;
  thread_ = std::thread([this, within] { Run(std::chrono::microseconds(within / 2)); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::Run(std::chrono::microseconds interval) {
  std::unique_lock lock(mutex_);
  do {
    if (is_well_()) sd_notify(0, "WATCHDOG=1");
  } while (!stopped_.wait_for(lock, interval, [this] { return stop_; }));
}

}  // namespace fathom
