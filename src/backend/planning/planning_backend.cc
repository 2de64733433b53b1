#include "backend/planning/planning_backend.h"

#include <sys/mman.h>

#include <cstring>

#include "base/error.h"
#include "base/log.h"

namespace fathom {

void* PlanningBackend::Reservation::Allocate(size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    throw Error("plan", fmt::format("{} are more than this machine can address",
                                    FormatBytes(static_cast<double>(bytes))));
  }
  return data;
}

void PlanningBackend::Reservation::Free(void* data, size_t bytes) { munmap(data, bytes); }

void PlanningBackend::CopyToHost(ConstTensor, Tensor host) {
  std::memset(host.raw(), 0, static_cast<size_t>(host.bytes()));
}

void PlanningBackend::SortByExpert(Context&, ConstTensor expert_ids, int64_t experts,
                                   ExpertRows* rows) {
  rows->offsets.clear();
  for (int64_t e = 0; e <= experts; ++e)
    rows->offsets.push_back(expert_ids.elements() * e / experts);
}

}  // namespace fathom
