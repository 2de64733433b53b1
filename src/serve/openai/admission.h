#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "serve/openai/engine_service.h"

namespace fathom {

struct AdmissionOptions {
  // A request that would have to wait longer than this for its first token is refused; 0: none is.
  std::chrono::duration<double> objective{0};
  int64_t max_running = 64;  // the engine's
};

// Refuses a request at once that would wait too long for its first token, rather than letting it
// wait: before its body is read, from what that is going to be.
//
// The estimate. Tokens of its prompt: bytes of its body, by the bytes a token had so far. Before
// them, the prompts of all that have been admitted and have no token yet; both at the rate at which
// the engine has got through prompts lately (with what it found in its cache, beside the answers it
// wrote). When more answers are wanted than are written at a time, it waits for some to end, too,
// at the rate at which they did lately. A key waits for no more than its share, since the scheduler
// gives keys equal ones: with m keys waiting, m times its own prompts, if that is less. So a key
// with a long queue is refused, while another is not.
//
// Estimates are multiplied by how much longer it really took, in all but one of a hundred cases
// lately, and a request is taken when that is within 80 % of the objective: what keys that come
// later take, and the way to the client, are not in it. It is taken whatever it would take when
// nobody is before it: what is long by itself does not become shorter.
// While nothing has been measured, as many are taken as are written at a time.
//
// From any thread.
class Admission : public EngineObserver {
 public:
  using Clock = std::chrono::steady_clock;
  // now: for tests.
  explicit Admission(
      const AdmissionOptions& options,
      std::function<Clock::time_point()> now = [] { return Clock::now(); })
      : options_(options), now_(std::move(now)) {}

  // Of requests to come.
  void SetObjective(std::chrono::duration<double> objective);

  // A request's place among those that wait, from its admission to its first token.
  class Place {
   public:
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    // What it turned out to be: tokens of its prompts, and answers.
    void Set(int64_t tokens, int64_t choices);
    // Its first token is there.
    void Begin();

   private:
    friend class Admission;
    Place(Admission& admission, int64_t key, uint64_t bytes, int64_t tokens, double estimate)
        : admission_(admission),
          key_(key),
          bytes_(bytes),
          estimate_(estimate),
          arrival_(admission.now_()),
          tokens_(tokens) {}

    Admission& admission_;
    const int64_t key_;
    const uint64_t bytes_;
    const double estimate_;  // seconds, before it was corrected
    const Clock::time_point arrival_;
    int64_t tokens_, choices_ = 1;
  };
  // AccessError (kOverloaded) when it would wait too long. body_bytes: 0: not known.
  std::shared_ptr<Place> Admit(int64_t key, uint64_t body_bytes);

  void OnStep(const Engine& engine) override;
  void OnToken(const EngineEvent& event, Seconds since_last) override;
  void OnEnd(const RequestUsage& usage, std::string_view reason, Seconds since_arrival) override;

 private:
  struct Load {
    int64_t tokens = 0, choices = 0;  // of those that wait
    int64_t requests = 0;
  };
  // A rate over the last seconds: older amounts and times count less and less.
  class Rate {
   public:
    void Add(double amount, double seconds);
    double value() const { return seconds_ > 0 ? amount_ / seconds_ : 0; }  // 0: nothing known

   private:
    double amount_ = 0, seconds_ = 0;
  };

  // How much longer the first token of a request took than was estimated.
  struct Error {
    Clock::time_point time;
    double ratio;
  };

  // mutex_ is held in all of them.
  double Correction();  // what estimates are multiplied by
  double Estimate(const Load& own, int64_t tokens) const;
  void Change(int64_t key, int64_t tokens, int64_t choices, int64_t requests);

  AdmissionOptions options_;
  const std::function<Clock::time_point()> now_;
  std::mutex mutex_;
  Load all_;
  std::map<int64_t, Load> of_key_;  // those that wait
  Rate prompts_, ends_;             // tokens of prompts, answers that ended, a second
  double bytes_per_token_ = 4;
  std::deque<Error> errors_;  // the latest, oldest first
  int64_t writing_ = 0;       // answers that have begun and go on
  bool full_ = false;         // as many run as may
  int64_t steps_ = 0, prompt_tokens_ = 0, ended_ = 0;
  Clock::time_point last_step_{};
};

}  // namespace fathom
