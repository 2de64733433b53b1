#pragma once

#include <cstdint>
#include <thread>
#include <utility>

#include "serve/http/server.h"

namespace fathom::test {

// A server in a thread of its own, stopped at the end.
class Running {
 public:
  Running(const WebServerOptions& options, WebRouter router)
      : server_(options, std::move(router)), thread_([this] { server_.Run(); }) {}
  ~Running() { Stop(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  uint16_t port() const { return server_.port(); }
  WebServer& server() { return server_; }
  void Stop() {
    server_.Stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  WebServer server_;
  std::thread thread_;
};

}  // namespace fathom::test
