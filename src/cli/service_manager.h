#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace fathom {

// What a service manager that speaks systemd's protocol (sd_listen_fds(3), sd_notify(3)) has done
// for this process, and wants to hear. Without one, nothing happens.

// A socket that it listens on for this process already (a .socket unit): connections that come
// while there is no server wait there.
struct InheritedSocket {
  int descriptor;
  std::string host;  // the address that it is bound to
};
// Error when there are several, or it is none of TCP.
std::optional<InheritedSocket> TakeInheritedSocket();

// Tells it that the server can be used; `status` is shown to who asks how it is.
void NotifyReady(const std::string& status);
// That it has been told to stop, and drains.
void NotifyStopping();

// Tells it that the server is well, as often as it wants to hear that (WatchdogSec= of the unit),
// as long as `is_well`, called on a thread of its own, says so.
class Watchdog {
 public:
  explicit Watchdog(std::function<bool()> is_well);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void Run(std::chrono::microseconds interval);

  const std::function<bool()> is_well_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace fathom
