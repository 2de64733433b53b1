#include "plan/queue.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fathom {
namespace {

constexpr double kMostServers = 5e7;

void Check(const Queue& queue) {
  const auto require = [](bool holds, const char* field, double value) {
    if (!holds || !std::isfinite(value)) {
      throw UsageError(field, fmt::format("{} makes no queue", value));
    }
  };
  require(queue.arrivals >= 0, "arrivals", queue.arrivals);
  require(queue.service_time > 0, "service time", queue.service_time);
  require(queue.patience >= 0, "patience", queue.patience);
  require(queue.servers >= 1 && queue.servers <= kMostServers, "servers", queue.servers);
  require(queue.room >= 0 && queue.room <= kMostServers, "room", queue.room);
}

}  // namespace

QueueResult Solve(const Queue& queue) {
  Check(queue);
  if (queue.arrivals == 0) return {};
  const double c = std::floor(queue.servers), last = c + std::floor(queue.room);
  const double give_up = queue.patience > 0 ? 1 / queue.patience : 0;
  const auto leave = [&](double n) {  // rate of leaving with n requests there
    return std::min(n, c) / queue.service_time + std::max(n - c, 0.0) * give_up;
  };
  // Probabilities rise up to the state where arrivals and leaving meet.
  double top = std::floor(std::min(queue.arrivals * queue.service_time, c));
  if (top >= c && give_up > 0) {
    top = c + std::floor(std::max(0.0, (queue.arrivals - c / queue.service_time) / give_up));
  } else if (queue.arrivals > c / queue.service_time) {
    top = last;
  }
  top = std::min(top, last);
  constexpr double kNegligible = 1e-14;
  double sum = 0, waiting = 0, at_wait = 0, at_last = 0, serving = 0;
  const auto add = [&](double n, double p) {
    sum += p;
    serving += p * std::min(n, c);
    if (n > c) waiting += p * (n - c);
    if (n >= c && n < last) at_wait += p;
    if (n == last) at_last += p;
  };
  double p = 1;
  for (double n = top;; ++n) {
    add(n, p);
    if (n >= last) break;
    p *= queue.arrivals / leave(n + 1);
    if (p < kNegligible) break;
  }
  p = 1;
  for (double n = top; n > 0; --n) {
    p *= leave(n) / queue.arrivals;
    if (p < kNegligible) break;
    add(n - 1, p);
  }
  QueueResult result;
  result.refused = at_last / sum;
  const double let_in = 1 - result.refused;
  result.waits = let_in > 0 ? at_wait / sum / let_in : 0;
  result.abandoned = give_up * waiting / sum / queue.arrivals;
  // Little's law, for those who are let in.
  result.mean_wait = let_in > 0 ? waiting / sum / (queue.arrivals * let_in) : 0;
  result.busy = serving / sum / c;
  return result;
}

double LargestArrivals(Queue queue, double share) {
  double low = 0, high = 4 * std::floor(queue.servers) / queue.service_time;
  for (int i = 0; i < 60; ++i) {
    queue.arrivals = (low + high) / 2;
    (Solve(queue).lost() <= share ? low : high) = queue.arrivals;
  }
  return low;
}

}  // namespace fathom
