#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/precision.h"
#include "ops/backend.h"
#include "posttrain/distill/distill_config.h"
#include "posttrain/distill/teacher.h"

namespace fathom {

// A model of this machine, answering config.teacher.at_a_time questions at a time: as `fathom
// serve` would the same messages, seeds and settings.
// Questions that leave no room for an answer are refused. context has to outlive it. Throws Error
// when the model has no tokenizer or no chat template, and when it does not fit into memory.
std::unique_ptr<Teacher> MakeLocalTeacher(Context& context, const DistillConfig& config,
                                          bool quiet);

}  // namespace fathom
