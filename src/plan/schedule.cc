#include "plan/schedule.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {

std::string_view Name(Schedule schedule) {
  switch (schedule) {
    case Schedule::k1F1B:
      return "1f1b";
    case Schedule::kInterleaved:
      return "interleaved";
    case Schedule::kZb1p:
      return "zb1p";
    case Schedule::kDualPipe:
      return "dualpipe";
    case Schedule::kDualPipeV:
      return "dualpipev";
  }
  return "";
}

Schedule ScheduleNamed(std::string_view name) {
  for (const Schedule schedule : {Schedule::k1F1B, Schedule::kInterleaved, Schedule::kZb1p,
                                  Schedule::kDualPipe, Schedule::kDualPipeV}) {
    if (name == Name(schedule)) return schedule;
  }
  throw UsageError("schedule", fmt::format("'{}' is not known", name),
                   "known are 1f1b, interleaved, zb1p, dualpipe and dualpipev");
}

Seconds Bubble(Schedule schedule, int64_t stages, const ChunkTimes& chunk, int64_t virtual_stages) {
  const double p = static_cast<double>(stages);
  Seconds idle;
  switch (schedule) {
    case Schedule::k1F1B:
      idle = (p - 1) * (chunk.forward + chunk.backward);
      break;
    case Schedule::kInterleaved:
      idle = (p - 1) * (chunk.forward + chunk.backward) / static_cast<double>(virtual_stages);
      break;
    case Schedule::kZb1p:
      idle = (p - 1) * (chunk.forward + chunk.backward - 2 * chunk.backward_weight);
      break;
    case Schedule::kDualPipe:
    case Schedule::kDualPipeV:
      idle = (p / 2 - 1) * (chunk.overlapped + chunk.backward - 3 * chunk.backward_weight);
      break;
  }
  return std::max(idle, Seconds(0));
}

int64_t ParameterCopies(Schedule schedule) { return OverlapsCommunication(schedule) ? 2 : 1; }

double MicroBatchesInFlight(Schedule schedule, int64_t stages, int64_t micro_batches,
                            int64_t virtual_stages) {
  const double p = static_cast<double>(stages);
  double kept = p;
  if (OverlapsCommunication(schedule)) kept = p + 1;
  if (schedule == Schedule::kInterleaved) kept = p + (p - 1) / static_cast<double>(virtual_stages);
  return std::min(static_cast<double>(micro_batches), kept);
}

bool OverlapsCommunication(Schedule schedule) {
  return schedule == Schedule::kDualPipe || schedule == Schedule::kDualPipeV;
}

}  // namespace fathom
