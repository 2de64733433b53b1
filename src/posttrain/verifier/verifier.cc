#include "posttrain/verifier/verifier.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

// A reply that is longer is none.
constexpr size_t kMostReplyBytes = size_t{1} << 20;
// What is kept of a process's last words.
constexpr size_t kMostErrorBytes = 2000;
// So many failures before the first reply, and the command does not work.
constexpr int64_t kMostFailures = 10;
// How long a signal may go unnoticed.
constexpr int kMostWaitMilliseconds = 200;

VerifierReply Failed(std::string why) {
  return {.value = {0, RewardStatus::kFailed}, .error = std::move(why)};
}

// Python writes NaN and Infinity, which are no JSON.
bool SaysNotANumber(std::string_view line) {
  const size_t key = line.find("\"reward\"");
  if (key == std::string_view::npos) return false;
  std::string_view rest = line.substr(key + std::string_view("\"reward\"").size());
  rest = rest.substr(std::min(rest.size(), rest.find_first_not_of(" :\t-+\"")));
  const std::string lower = LowerCase(rest.substr(0, 3));
  return lower == "nan" || lower == "inf";
}

VerifierReply ParseReply(std::string_view line, bool may_be_message) {
  try {
    const JsonDocument document(line, "reply");
    if (may_be_message) {
      if (const auto message = document.root().Find("message"))
        return {.message = std::string(message->String())};
    }
    const JsonValue reward = document.root().At("reward");
    if (reward.IsBool()) return {.value = {reward.Bool() ? 1.0 : 0.0}};
    return {.value = {reward.Number()}};
  } catch (const Error& error) {
    if (SaysNotANumber(line))
      return {.value = {0, RewardStatus::kNotANumber}, .error = "the reward is no number"};
    return Failed(fmt::format("{}: {}", error.what(), line.substr(0, 200)));
  }
}

}  // namespace

// A process, and the request it has.
class VerifierPool::Worker {
 public:
  explicit Worker(const VerifierOptions& options) : options_(options) {}

  bool busy() const { return request_ != kNone; }
  size_t request() const { return request_; }
  Clock::time_point deadline() const { return deadline_; }
  const SandboxedProcess* process() const { return process_.get(); }

  // text: has to live until the request is answered.
  void Begin(size_t request, const std::string& text) {
    if (!process_) {
      process_ = std::make_unique<SandboxedProcess>(options_.command, options_.limits);
      answered_ = false;
    }
    request_ = request;
    text_ = &text;
    unsent_ = text + "\n";
    received_.clear();
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(options_.timeout_seconds));
  }

  void AddTo(std::vector<pollfd>& polled) const {
    polled.push_back({process_->output(), POLLIN, 0});
    polled.push_back({process_->errors(), POLLIN, 0});
    polled.push_back({unsent_.empty() ? -1 : process_->input(), POLLOUT, 0});
  }

  // Moves on with what poll found (three entries); a reply when there is one.
  std::optional<VerifierReply> Advance(const pollfd* polled) {
    if (polled[1].revents != 0) ReadErrors();
    if ((polled[2].revents & POLLOUT) != 0) Send();
    if (polled[0].revents == 0) return std::nullopt;
    return Receive();
  }

  // Kills the process; what it had to say last. ending: its output has ended, so that it is about
  // to end by itself.
  std::string Replace(bool ending = false) {
    request_ = kNone;
    if (!process_) return "";
    std::string said = process_->Kill(ending ? kGrace : std::chrono::milliseconds(0));
    ReadErrors();
    const std::string_view errors = Trimmed(errors_);
    if (!errors.empty()) said += fmt::format("{}{}", said.empty() ? "" : ": ", errors);
    process_.reset();
    errors_.clear();
    return said;
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);
  static constexpr std::chrono::milliseconds kGrace{200};

  void Send() {
    const ssize_t count = write(process_->input(), unsent_.data(), unsent_.size());
    if (count > 0) unsent_.erase(0, static_cast<size_t>(count));
    // A process that reads no more may still answer; if it does not, its time ends.
    if (count < 0 && errno != EAGAIN && errno != EINTR) unsent_.clear();
  }

  void ReadErrors() {
    char buffer[4096];
    // Bounded: whoever writes on and on is asked again later.
    for (int i = 0; i < 16; ++i) {
      const ssize_t count = read(process_->errors(), buffer, sizeof(buffer));
      if (count <= 0) return;
      errors_.append(buffer, static_cast<size_t>(count));
      if (errors_.size() > kMostErrorBytes) errors_.erase(0, errors_.size() - kMostErrorBytes);
    }
  }

  std::optional<VerifierReply> Receive() {
    char buffer[1 << 16];
    const ssize_t count = read(process_->output(), buffer, sizeof(buffer));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    if (count > 0) received_.append(buffer, static_cast<size_t>(count));
    const size_t end = received_.find('\n');
    const bool ended = count <= 0;
    if (ended && received_.empty() && answered_) {
      // It had done its work with the request before.
      const size_t request = request_;
      Replace();
      Begin(request, *text_);
      return std::nullopt;
    }
    if (end == std::string::npos && !ended && received_.size() <= kMostReplyBytes) {
      return std::nullopt;
    }
    VerifierReply reply;
    if (end != std::string::npos) {
      reply = ParseReply(std::string_view(received_).substr(0, end), options_.messages);
      // One line for one request: more would be taken for the next one's.
      if (received_.size() > end + 1) {
        reply = Failed(fmt::format("more than one line: {}", received_.substr(0, 200)));
      }
    } else if (!ended) {
      reply = Failed(fmt::format("a line of more than {} bytes", kMostReplyBytes));
    } else if (!received_.empty()) {
      reply = ParseReply(received_, options_.messages);
    } else {
      reply = Failed("it ended without a reply");
    }
    request_ = kNone;
    answered_ = true;
    const bool sound = reply.value.status != RewardStatus::kFailed;
    if (!sound || ended) {
      const std::string said = Replace(ended);
      if (!sound && !said.empty()) reply.error += fmt::format(" ({})", said);
    }
    return reply;
  }

  const VerifierOptions& options_;
  std::unique_ptr<SandboxedProcess> process_;
  bool answered_ = false;  // some request
  size_t request_ = kNone;
  const std::string* text_ = nullptr;
  std::string unsent_, received_, errors_;
  Clock::time_point deadline_;
};

VerifierPool::VerifierPool(VerifierOptions options) : options_(std::move(options)) {
  FATHOM_CHECK(options_.workers >= 1 && options_.timeout_seconds > 0);
  for (int i = 0; i < options_.workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(options_));
  }
}

VerifierPool::~VerifierPool() = default;

std::vector<VerifierReply> VerifierPool::Ask(std::span<const std::string> requests) {
  std::vector<VerifierReply> replies(requests.size());
  size_t next = 0, done = 0;
  const auto take = [&](size_t request, VerifierReply reply) {
    ++done;
    if (reply.value.status == RewardStatus::kScored ||
        reply.value.status == RewardStatus::kNotANumber) {
      ++replies_;
      failures_in_a_row_ = 0;
    } else if (++failures_in_a_row_ >= kMostFailures && replies_ == 0) {
      for (const auto& worker : workers_) worker->Replace();
      throw Error("verifier",
                  fmt::format("'{}' has failed {} times and never replied; the last time: {}",
                              options_.command, failures_in_a_row_, reply.error),
                  "it gets one line of JSON on stdin and writes one on stdout: {\"reward\": 1}");
    }
    replies[request] = std::move(reply);
  };
  std::vector<pollfd> polled;
  std::vector<Worker*> busy;
  while (done < requests.size()) {
    if (InterruptGuard::Requested()) {
      for (const auto& worker : workers_) {
        if (worker->busy()) worker->Replace();
      }
      InterruptGuard::ThrowIfRequested("verifying");
    }
    polled.clear();
    busy.clear();
    Clock::time_point deadline = Clock::time_point::max();
    for (const auto& worker : workers_) {
      if (!worker->busy() && next < requests.size()) {
        worker->Begin(next, requests[next]);
        ++next;
        has_namespaces_ = has_namespaces_ && worker->process()->has_namespaces();
        writes_confined_ = writes_confined_ && worker->process()->writes_confined();
      }
      if (!worker->busy()) continue;
      busy.push_back(worker.get());
      worker->AddTo(polled);
      deadline = std::min(deadline, worker->deadline());
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count() + 1;
    const int wait = static_cast<int>(std::clamp<int64_t>(left, 0, kMostWaitMilliseconds));
    if (poll(polled.data(), polled.size(), wait) < 0) {
      if (errno != EINTR) throw Error("verifier", fmt::format("poll: {}", std::strerror(errno)));
      continue;
    }
    const auto now = Clock::now();
    for (size_t i = 0; i < busy.size(); ++i) {
      Worker& worker = *busy[i];
      const size_t request = worker.request();
      if (auto reply = worker.Advance(&polled[3 * i])) {
        take(request, std::move(*reply));
      } else if (now >= worker.deadline()) {
        const std::string said = worker.Replace();
        take(request, {.value = {0, RewardStatus::kTimedOut},
                       .error = fmt::format("no reply within {}{}{}",
                                            FormatDuration(options_.timeout_seconds),
                                            said.empty() ? "" : ": ", said)});
      }
    }
  }
  return replies;
}

}  // namespace fathom
