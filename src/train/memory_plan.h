#pragma once

#include <array>
#include <string>
#include <vector>

#include "ops/backend.h"
#include "train/training_settings.h"

namespace fathom {

// Bytes a run needs, by role, found by running through a step of its largest stage without
// computing (backend/planning). The kernels' own scratch space, a few MiB a thread, is not in it.
struct MemoryPlan {
  std::array<double, kMemoryRoles> by_role{};

  double total() const;
  double& operator[](MemoryRole role) { return by_role[static_cast<size_t>(role)]; }
  double operator[](MemoryRole role) const { return by_role[static_cast<size_t>(role)]; }
  // One line a role, then the sum.
  std::string ToTable() const;
};

MemoryPlan PlanTraining(const TrainingSettings& settings, const std::vector<TrainingStage>& stages,
                        const Backend& device, ThreadPool& pool);

// Throws Error, with the arithmetic and what would make it fit, when the plan needs more than
// `available` bytes.
void RefuseWhatDoesNotFit(const TrainingSettings& settings,
                          const std::vector<TrainingStage>& stages, const MemoryPlan& plan,
                          double available, const Backend& device, ThreadPool& pool);

}  // namespace fathom
