#pragma once

#include "ops/backend.h"
#include "plan/machine_model.h"

namespace fathom {

// What this machine reaches now, with all threads of the context; takes about half a second.
MachineRates MeasureRates(Context& context);

}  // namespace fathom
