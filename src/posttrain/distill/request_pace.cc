#include "posttrain/distill/request_pace.h"

#include <algorithm>
#include <cmath>

namespace fathom {
namespace {

std::chrono::steady_clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

constexpr double kMinute = 60;

}  // namespace

RequestPace::Time RequestPace::Next() const {
  return std::max({requests_free_, tokens_free_, asked_to_wait_, backed_off_});
}

void RequestPace::Begin(Time now, double tokens) {
  if (options_.requests_per_minute > 0) {
    requests_free_ =
        std::max(requests_free_, now) + Seconds(kMinute / options_.requests_per_minute);
  }
  if (options_.tokens_per_minute > 0) {
    tokens_free_ =
        std::max(tokens_free_, now) + Seconds(kMinute * tokens / options_.tokens_per_minute);
  }
  if (failures_ > 0) BackOff(now);
}

void RequestPace::Correct(double tokens, double used) {
  if (options_.tokens_per_minute > 0)
    tokens_free_ -= Seconds(kMinute * (tokens - used) / options_.tokens_per_minute);
}

void RequestPace::Succeeded() {
  failures_ = 0;
  backed_off_ = {};
}

void RequestPace::Failed(Time begun, Time now, std::optional<double> retry_after) {
  if (retry_after)
    asked_to_wait_ = std::max(asked_to_wait_, now + Seconds(std::max(0.0, *retry_after)));
  if (failures_ > 0 && begun < last_failure_) return;
  ++failures_;
  last_failure_ = now;
  BackOff(now);
}

void RequestPace::BackOff(Time now) {
  // Beyond 2^60 nothing changes any more.
  const double doubled = options_.backoff_seconds *
                         std::exp2(static_cast<double>(std::min<int64_t>(failures_ - 1, 60)));
  const double most = std::min(doubled, options_.most_backoff_seconds);
  backed_off_ = now + Seconds(most * (1 + random_.NextUniform()) / 2);
}

}  // namespace fathom
