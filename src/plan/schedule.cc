#include "plan/schedule.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {

std::string_view Name(Schedule schedule) {
  switch (schedule) {
    case Schedule::k1F1B:
      return "1f1b";
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
  for (const Schedule schedule :
       {Schedule::k1F1B, Schedule::kZb1p, Schedule::kDualPipe, Schedule::kDualPipeV}) {
    if (name == Name(schedule)) return schedule;
  }
  throw UsageError("schedule", fmt::format("'{}' is not known", name),
                   "known are 1f1b, zb1p, dualpipe and dualpipev");
}

Seconds Bubble(Schedule schedule, int64_t stages, const ChunkTimes& chunk) {
  const double p = static_cast<double>(stages);
  Seconds idle;
  switch (schedule) {
    case Schedule::k1F1B:
      idle = (p - 1) * (chunk.forward + chunk.backward);
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

int64_t MicroBatchesInFlight(Schedule schedule, int64_t stages, int64_t micro_batches) {
  return std::min(micro_batches, OverlapsCommunication(schedule) ? stages + 1 : stages);
}

bool OverlapsCommunication(Schedule schedule) {
  return schedule == Schedule::kDualPipe || schedule == Schedule::kDualPipeV;
}

}  // namespace fathom
