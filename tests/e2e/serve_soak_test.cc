// A server whose clients do what they like: nothing of what they leave behind stays.
// FATHOM_SOAK_SECONDS: how long (`make test-long`: half an hour).

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

using Clock = std::chrono::steady_clock;

// What a process holds.
struct Holdings {
  int64_t memory = 0;  // resident, bytes
  int64_t sockets = 0, files = 0, threads = 0;
};

class ServeSoakTest : public ServeTest {
 protected:
  Holdings Held() const {
    namespace fs = std::filesystem;
    const fs::path process = fmt::format("/proc/{}", server_->id());
    Holdings held;
    for (const auto& entry : fs::directory_iterator(process / "fd")) {
      std::error_code closed;  // between listing and looking
      const std::string what = fs::read_symlink(entry.path(), closed).string();
      if (!closed) ++(what.starts_with("socket:") ? held.sockets : held.files);
    }
    held.threads = std::distance(fs::directory_iterator(process / "task"), {});
    std::ifstream status(process / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) held.memory = std::stoll(line.substr(6)) * 1024;
    }
    return held;
  }

  // One client's visit.
  void Visit(std::minstd_rand& random) {
    Client client(port_);
    const auto upto = [&random](size_t most) { return random() % (most + 1); };
    json body = {{"prompt", "class Error"}, {"max_tokens", 1 + upto(60)},
                 {"ignore_eos", true},      {"stream", true},
                 {"temperature", 1.5},      {"stream_options", {{"include_usage", true}}}};
    // Prompts that others have, too, and some that nobody has.
    for (size_t i = upto(40); i > 0; --i) {
      body["prompt"] =
          body["prompt"].get<std::string>() + " int " + std::to_string(upto(1) == 0 ? i : random());
    }
    const std::string request = Post("/v1/completions", body.dump(), Headers());
    switch (upto(8)) {
      case 0:  // goes in the middle of its request
        client.Send(std::string_view(request).substr(0, upto(request.size() - 1)));
        return;
      case 1:  // goes during the prompt
        client.Send(request);
        return;
      case 2:  // goes during the answer
        client.Send(request);
        for (size_t i = upto(20); i > 0 && !Has(client.ReceiveUntil("\n\n"), "[DONE]"); --i) {
        }
        return;
      case 3:  // speaks no HTTP
        client.Send(std::string(upto(4000), static_cast<char>(upto(255))));
        client.Send("\r\n\r\n");
        client.ReceiveUntil("never");
        return;
      case 4:  // asks for what cannot be
        body["max_tokens"] = "many";
        client.Send(Post("/v1/completions", body.dump(), Headers()));
        EXPECT_EQ(Status(client.Receive()), 400);
        return;
      case 5: {  // a format, several answers, whole; two requests of a connection
        json chat = {{"messages", UserSays("hello")},
                     {"max_tokens", 1 + upto(30)},
                     {"n", 2},
                     {"response_format", {{"type", "json_object"}}}};
        for (int i = 0; i < 2; ++i) {
          client.Send(Post("/v1/chat/completions", chat.dump(), Headers()));
          EXPECT_EQ(Status(client.Receive()), 200);
        }
        return;
      }
      default: {
        client.Send(request);
        const std::string text = client.ReceiveUntil("[DONE]");
        ASSERT_TRUE(Has(text, "[DONE]")) << text;
        const size_t usage = text.rfind("data: {");
        const json event =
            json::parse(text.substr(usage + 6, text.find("\n\n", usage) - usage - 6));
        const std::lock_guard lock(mutex_);
        seen_[event["id"]] = event["usage"]["completion_tokens"];
      }
    }
  }
  void VisitUntil(Clock::time_point end) {
    std::vector<std::thread> clients;
    for (uint32_t i = 0; i < 24; ++i) {
      clients.emplace_back([this, end, seed = ++seed_] {
        std::minstd_rand random(seed);
        for (; Clock::now() < end; ++visits_) Visit(random);
      });
    }
    for (std::thread& client : clients) client.join();
  }
  // What it holds once it has noticed that all have gone.
  Holdings Calm() const {
    const auto start = Clock::now();
    while (UnderWay() > 0) std::this_thread::yield();
    Holdings held = Held();
    while (held.sockets > idle_sockets_ && Clock::now() - start < std::chrono::seconds(60)) {
      std::this_thread::yield();
      held = Held();
    }
    return held;
  }

  std::mutex mutex_;
  std::map<std::string, int64_t> seen_;  // whole streams by id: their tokens
  std::atomic<int64_t> visits_ = 0;
  uint32_t seed_ = 0;
  int64_t idle_sockets_ = 0;
};

TEST_F(ServeSoakTest, NothingIsLeftBehind) {
  const char* given = std::getenv("FATHOM_SOAK_SECONDS");
  const std::chrono::duration<double> duration(given == nullptr ? 3 : std::atof(given));
  const std::string admin = CreateKey("watcher", {"--role", "admin"});
  key_ = CreateKey("alice");
  Serve({"--ledger", Ledger(), "--max-running", "8", "--cache-memory", "8MB", "--disk-cache",
         (own_ / "cache").string(), "--disk-cache-size", "16MB"});
  idle_sockets_ = Held().sockets;
  // Caches are full, and all threads have been at work, before what is held is counted.
  VisitUntil(Clock::now() + std::chrono::duration_cast<Clock::duration>(duration / 4));
  const Holdings before = Calm();
  VisitUntil(Clock::now() + std::chrono::duration_cast<Clock::duration>(duration * 3 / 4));
  const Holdings after = Calm();
  fmt::print(
      "{} visits in {:.0f} s; {:.1f} MB before, {:.1f} MB after; {} files, {} sockets, {} "
      "threads\n",
      visits_.load(), duration.count(), static_cast<double>(before.memory) / 1e6,
      static_cast<double>(after.memory) / 1e6, after.files, after.sockets, after.threads);
  EXPECT_EQ(after.sockets, idle_sockets_);
  EXPECT_EQ(after.files, before.files);
  EXPECT_EQ(after.threads, before.threads);
#ifndef __SANITIZE_ADDRESS__  // which keeps what is freed, to see who still uses it
  EXPECT_LE(after.memory - before.memory, 16'000'000);
#endif
  Client client(port_);
  client.Send(Get("/metrics", "Authorization: Bearer " + admin + "\r\n"));
  const std::string metrics = client.Receive();
  const auto value = [&metrics](const std::string& name) {
    const size_t at = metrics.find("\n" + name);
    if (at == std::string::npos) ADD_FAILURE() << name << " is not in " << metrics;
    return std::stod(metrics.substr(metrics.find("} ", at) + 2));
  };
  EXPECT_EQ(value("fathom_cache_pages{engine=\"0\",model_name=\"model\",state=\"held\""), 0);
  EXPECT_EQ(value("fathom_ledger_open_requests"), 0);
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Status(), 0) << server_->Err();
  std::map<std::string, std::string> settled;
  for (const auto& row : ExportLedger()) {
    EXPECT_NE(row.at("outcome"), "open");
    EXPECT_NE(row.at("outcome"), "failed");
    if (row.at("outcome") == "done") settled[row.at("id")] = row.at("output_tokens");
  }
  ASSERT_FALSE(seen_.empty());
  for (const auto& [id, tokens] : seen_) EXPECT_EQ(settled[id], std::to_string(tokens)) << id;
}

}  // namespace
}  // namespace fathom::test
