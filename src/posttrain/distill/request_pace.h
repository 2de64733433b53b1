#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/random.h"

namespace fathom {

struct PaceOptions {
  double requests_per_minute = 0, tokens_per_minute = 0;  // 0: no limit
  // After failures in a row: so many seconds before the next request, doubled with each failure up
  // to the most, times a random factor in [1/2, 1), so that several clients do not come together.
  double backoff_seconds = 1, most_backoff_seconds = 60;
  uint64_t seed = 0;  // of the factors
};

// When the next request may be sent. Both limits are token buckets that hold nothing: what was
// taken is paid back at the limit's rate before the next request goes, so that requests come evenly
// and no minute sees more than the limit and one request. Knows no clock and no threads: times are
// the caller's.
class RequestPace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit RequestPace(const PaceOptions& options) : options_(options), random_(options.seed) {}

  // The next request may be sent at that time, or now where that is over.
  Time Next() const;
  // One is sent that may take so many tokens. While requests fail, the one after it waits as if it
  // had failed.
  void Begin(Time now, double tokens);
  // It has taken `used` of the `tokens`.
  void Correct(double tokens, double used);
  void Succeeded();
  // A request that was sent at `begun` has failed. Requests that were under way together fail
  // together: that is one failure. retry_after: seconds that the server asks for.
  void Failed(Time begun, Time now, std::optional<double> retry_after);

  int64_t failures_in_a_row() const { return failures_; }

 private:
  void BackOff(Time now);

  PaceOptions options_;
  RandomStream random_;
  Time requests_free_{}, tokens_free_{};
  Time asked_to_wait_{}, backed_off_{};
  Time last_failure_{};
  int64_t failures_ = 0;
};

}  // namespace fathom
