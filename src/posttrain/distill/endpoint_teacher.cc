#include "posttrain/distill/endpoint_teacher.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = ChatOutcome::Kind;

// How long the asking thread waits for news before it looks around.
constexpr std::chrono::milliseconds kLook{100};
// What a prompt's tokens are taken for before the endpoint has counted them: few texts have more
// than one for three bytes.
constexpr double kBytesPerToken = 3;

// One call of Answer.
class Asking {
 public:
  Asking(const EndpointOptions& options, std::span<const TraceJob> jobs)
      : options_(options), jobs_(jobs), pace_(options.pace), tries_(jobs.size(), 0) {
    for (size_t i = 0; i < jobs.size(); ++i) waiting_.push_back(i);
  }
  ~Asking() {
    {
      const std::lock_guard lock(mutex_);
      stops_ = cancelled_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void Run(TeacherListener& listener) {
    const size_t threads =
        std::min(static_cast<size_t>(options_.at_a_time), std::max<size_t>(1, jobs_.size()));
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
    std::unique_lock lock(mutex_);
    while (!Done()) {
      news_came_.wait_for(lock, kLook, [this] { return !news_.empty() || lost_ || Done(); });
      std::vector<News> news = std::exchange(news_, {});
      lock.unlock();
      for (News& one : news) Tell(listener, one);
      const bool goes_on = listener.GoesOn(tokens_);
      lock.lock();
      if (!goes_on && !stops_) {
        stops_ = true;
        if (under_way_ > 0) spdlog::info("waiting for {} answers that are under way", under_way_);
        changed_.notify_all();
      }
      if (lost_ && news_.empty()) throw Error(*lost_);
    }
  }

 private:
  struct News {
    size_t job;
    std::optional<TeacherAnswer> answer;
    std::string why;  // where it is refused
  };

  // mutex_ is held, as for all that follow but Work and Tell.
  bool Done() const {
    return news_.empty() && under_way_ == 0 && (waiting_.empty() || stops_) && !lost_;
  }

  void Tell(TeacherListener& listener, News& news) {
    if (!news.answer) {
      listener.OnRefused(news.job, news.why);
      return;
    }
    tokens_ += news.answer->completion_tokens.value_or(0);
    listener.OnAnswer(news.job, *std::move(news.answer));
  }

  double Estimate(const TraceJob& job) const {
    double bytes = 0;
    for (const ChatMessage& message : job.question->messages)
      bytes += static_cast<double>(message.content.size());
    return bytes / kBytesPerToken + static_cast<double>(options_.endpoint.sampling.max_tokens);
  }

  // Waits until a request may be sent; false: there is nothing more to do.
  bool Wait(std::unique_lock<std::mutex>& lock) {
    while (!stops_) {
      if (waiting_.empty()) {
        // Others may put theirs back.
        if (under_way_ == 0) return false;
        changed_.wait(lock);
        continue;
      }
      const Clock::time_point next = pace_.Next();
      if (next <= Clock::now()) return true;
      changed_.wait_until(lock, next);
    }
    return false;
  }

  void Work() {
    const ChatEndpoint& endpoint = options_.endpoint;
    HttpClient client({.token = endpoint.key,
                       .stall_seconds = 0,
                       .total_seconds = static_cast<long>(std::ceil(options_.timeout_seconds)),
                       .cancelled = [this] { return cancelled_.load(); }});
    std::unique_lock lock(mutex_);
    while (Wait(lock)) {
      const size_t job = waiting_.front();
      waiting_.pop_front();
      const Clock::time_point begun = Clock::now();
      const double estimate = Estimate(jobs_[job]);
      pace_.Begin(begun, estimate);
      ++under_way_;
      lock.unlock();
      ChatOutcome outcome;
      try {
        outcome = ReadReply(endpoint,
                            client.Post(endpoint.url + "/chat/completions",
                                        ChatRequestBody(endpoint, jobs_[job]), kMostReplyBytes));
      } catch (const Error& error) {
        outcome.kind = Kind::kStop;
        outcome.why = error.what();
      } catch (const Cancelled&) {
        outcome.why = "cancelled";
      }
      lock.lock();
      --under_way_;
      Take(job, begun, estimate, std::move(outcome));
      changed_.notify_all();
      news_came_.notify_all();
    }
    changed_.notify_all();
    news_came_.notify_all();
  }

  void Take(size_t job, Clock::time_point begun, double estimate, ChatOutcome outcome) {
    if (outcome.kind == Kind::kAnswer) {
      const TeacherAnswer& answer = outcome.answer;
      if (answer.prompt_tokens && answer.completion_tokens) {
        pace_.Correct(estimate,
                      static_cast<double>(*answer.prompt_tokens + *answer.completion_tokens));
      }
      pace_.Succeeded();
      refused_in_a_row_ = 0;
      news_.push_back({.job = job, .answer = std::move(outcome.answer)});
      return;
    }
    pace_.Correct(estimate, 0);
    if (outcome.kind == Kind::kStop) return Lose(outcome.why);
    if (outcome.kind == Kind::kRefused) {
      news_.push_back({.job = job, .why = outcome.why});
      if (++refused_in_a_row_ == options_.give_up_after) {
        Lose(fmt::format("{} requests in a row were refused, the last with {}", refused_in_a_row_,
                         outcome.why));
      }
      return;
    }
    pace_.Failed(begun, Clock::now(), outcome.retry_after_seconds);
    if (outcome.retry_after_seconds.value_or(0) > kLongestRetryAfterSeconds) {
      return Lose(fmt::format("{}; it wants to be left alone for {}", outcome.why,
                              FormatDuration(*outcome.retry_after_seconds)));
    }
    if (pace_.failures_in_a_row() >= options_.give_up_after) {
      return Lose(fmt::format("{} failures in a row, the last one: {}", pace_.failures_in_a_row(),
                              outcome.why));
    }
    if (++tries_[job] >= options_.attempts) {
      news_.push_back(
          {.job = job, .why = fmt::format("{} tries, the last with {}", tries_[job], outcome.why)});
      return;
    }
    // Behind the others: what one question does to a server shall not hold up the rest.
    waiting_.push_back(job);
  }

  void Lose(const std::string& why) {
    if (!lost_ && !cancelled_) lost_.emplace(options_.endpoint.url, why);
    stops_ = cancelled_ = true;
  }

  const EndpointOptions& options_;
  const std::span<const TraceJob> jobs_;
  int64_t tokens_ = 0;  // of the asking thread

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_, news_came_;
  RequestPace pace_;
  std::deque<size_t> waiting_;
  std::vector<int64_t> tries_;  // that failed, by job
  std::vector<News> news_;
  std::optional<Error> lost_;
  int64_t under_way_ = 0, refused_in_a_row_ = 0;
  bool stops_ = false;  // nothing more is sent
  std::atomic<bool> cancelled_{false};
  std::vector<std::thread> threads_;
};

class EndpointTeacher : public Teacher {
 public:
  explicit EndpointTeacher(EndpointOptions options) : options_(std::move(options)) {
    std::string& url = options_.endpoint.url;
    while (url.ends_with('/')) url.pop_back();
  }

  void Answer(std::span<const TraceJob> jobs, TeacherListener& listener) override {
    Asking(options_, jobs).Run(listener);
  }

 private:
  EndpointOptions options_;
};

}  // namespace

std::unique_ptr<Teacher> MakeEndpointTeacher(EndpointOptions options) {
  return std::make_unique<EndpointTeacher>(std::move(options));
}

}  // namespace fathom
