// Two thousand streams at a time, from the sockets to the ledger, with a stub in the model's place.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/open_files.h"
#include "base/temporary_directory.h"
#include "base/thread_pool.h"
#include "infer/stub_executor.h"
#include "serve/accounts/sqlite_store.h"
#include "serve/client.h"
#include "serve/metrics/server_metrics.h"
#include "serve/openai/openai_api.h"
#include "serve/running_server.h"
#include "text/bpe_trainer.h"
#include "text/stream_decoder.h"

namespace fathom::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStreams = 2000;
constexpr int64_t kPromptTokens = 16, kAnswerTokens = 50;
constexpr int64_t kPages = kStreams * 3, kPageTokens = 32;

// Computes nothing before it is told to.
class GatedExecutor : public StubExecutor {
 public:
  using StubExecutor::StubExecutor;

  std::vector<PieceResult> Compute(std::span<const Piece> pieces) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
    most_ = std::max(most_, pieces.size());
    return StubExecutor::Compute(pieces);
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  // Sequences that one batch had a piece of.
  size_t most() const { return most_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  size_t most_ = 0;
};

// Resident memory of this process, in bytes.
int64_t Memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

// A client of which only the text of its answer is kept.
class StreamingClient {
 public:
  explicit StreamingClient(uint16_t port) : client_(std::make_unique<Client>(port)) {}

  Client& client() { return *client_; }
  // What has come.
  void Take(std::string_view bytes) {
    held_ += bytes;
    size_t end;
    while ((end = held_.find("\n\n")) != std::string::npos) {
      const size_t data = held_.find("data: ");
      if (data < end) Event(held_.substr(data + 6, end - data - 6));
      held_.erase(0, end + 2);
    }
  }
  const std::string& text() const { return text_; }
  int done() const { return done_; }

 private:
  void Event(const std::string& event) {
    if (event == "[DONE]") {
      ++done_;
      return;
    }
    const nlohmann::json json = nlohmann::json::parse(event);
    for (const auto& choice : json["choices"]) text_ += choice["text"].get<std::string>();
  }

  std::unique_ptr<Client> client_;
  std::string held_, text_;
  int done_ = 0;
};

TEST(StreamLoad, TwoThousandAtATime) {
  // A connection is two descriptors here: the client's and the server's.
  ASSERT_GE(AllowOpenFiles(2 * kStreams + 200), 2 * kStreams + 200)
      << "this test needs so many open files (ulimit -Hn)";
  ThreadPool pool(1);
  const std::string_view sample = "the cat sat on the mat";
  const Tokenizer tokenizer =
      TrainTokenizer(PreTokenizer::DeepSeekV3(), std::span(&sample, 1), {.vocab_size = 280}, pool);
  GatedExecutor executor(kPages, kPageTokens, static_cast<int32_t>(tokenizer.vocab_size()));
  Engine engine(
      executor,
      {.step_tokens = kStreams * kPromptTokens, .max_running = kStreams, .draft = DraftMode::kOff});
  const TemporaryDirectory directory;
  SqliteStore store(directory / "ledger.db", StoreMode::kServe);
  Accounts accounts(&store, {.cache_hit = 1, .cache_miss = 2, .output = 3});
  Admission admission({.max_running = kStreams});
  ServerMetrics metrics("stub", 1024, accounts);
  EngineService service(engine, {&metrics, &admission});
  const ServedModel served{
      .name = "stub", .tokenizer = &tokenizer, .max_length = 1024, .created = 0, .seed = 1};
  const GenerationDefaults defaults;
  OpenAiApi api(served, defaults, nullptr, service, accounts, admission);
  WebRouter router;
  api.AddTo(router);
  Running running({.connections = kStreams, .waiting = kStreams}, std::move(router));

  const int64_t before = Memory();
  std::vector<StreamingClient> clients;
  std::vector<std::string> expected;
  const int poll = epoll_create1(0);
  for (int i = 0; i < kStreams; ++i) {
    std::vector<int32_t> prompt(kPromptTokens, 20 + i % 200);
    prompt[0] = 20 + i / 200;
    StreamDecoder decoder(tokenizer);
    std::string text;
    for (const int32_t token : executor.Answer(prompt, kAnswerTokens, {})) {
      text += decoder.Push(token);
    }
    expected.push_back(text + decoder.Finish());
    clients.emplace_back(running.port());
    ASSERT_TRUE(clients.back().client().connected());
    epoll_event event = {.events = EPOLLIN, .data = {.u32 = static_cast<uint32_t>(i)}};
    ASSERT_EQ(epoll_ctl(poll, EPOLL_CTL_ADD, clients.back().client().descriptor(), &event), 0);
    const nlohmann::json request = {{"prompt", prompt},
                                    {"max_tokens", kAnswerTokens},
                                    {"ignore_eos", true},
                                    {"stream", true},
                                    {"temperature", 0}};
    clients.back().client().Send(Post("/v1/completions", request.dump()));
  }
  // All are admitted, paid for and waiting before the first token is computed.
  while (accounts.ledger()->statistics().open < kStreams) std::this_thread::yield();
  const auto start = Clock::now();
  executor.Open();
  int64_t open = kStreams, at_most = 0;
  while (open > 0) {
    epoll_event events[256];
    const int count = epoll_wait(poll, events, 256, 20'000);
    ASSERT_GT(count, 0) << open << " streams have not ended, and nothing comes";
    for (const epoll_event& event : std::span(events, static_cast<size_t>(count))) {
      StreamingClient& client = clients[event.data.u32];
      char bytes[16384];
      const ssize_t received = recv(client.client().descriptor(), bytes, sizeof(bytes), 0);
      ASSERT_GT(received, 0) << "the server closed a stream";
      const int done = client.done();
      client.Take({bytes, static_cast<size_t>(received)});
      open -= client.done() - done;
    }
    at_most = std::max(at_most, Memory());
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  close(poll);
  for (int i = 0; i < kStreams; ++i) {
    EXPECT_EQ(clients[static_cast<size_t>(i)].text(), expected[static_cast<size_t>(i)]) << i;
    EXPECT_EQ(clients[static_cast<size_t>(i)].done(), 1) << i;
  }
  EXPECT_EQ(executor.most(), kStreams) << "they were not answered at the same time";
  EXPECT_EQ(executor.overwritten(), 0);
  const Ledger::Statistics ledger = accounts.ledger()->statistics();
  EXPECT_EQ(ledger.open, 0);
  int64_t rows = 0;
  store.ForEachRow({}, [&](const LedgerRow& row) {
    EXPECT_EQ(row.outcome, Outcome::kDone);
    EXPECT_EQ(row.tokens.output, kAnswerTokens);
    ++rows;
  });
  EXPECT_EQ(rows, kStreams);
  const double each = static_cast<double>(at_most - before) / kStreams;
  fmt::print(
      "{} streams of {} tokens in {:.2f} s, {:.0f} events a second; {:.1f} KB of memory each, "
      "clients included; {} commits\n",
      kStreams, kAnswerTokens, seconds, kStreams * kAnswerTokens / seconds, each / 1e3,
      ledger.commits);
}

}  // namespace
}  // namespace fathom::test
