#pragma once

#include <filesystem>

#include "infer/loaded_model.h"
#include "model/language_model_loss.h"
#include "posttrain/chat_model.h"

namespace fathom {

// A model whose probabilities another one learns.
class SoftTeacher {
 public:
  // Reads and packs it as for inference, in the precision of its weights. student: whose tokens it
  // has to share, id by id, because probabilities are compared by them. Throws Error where it does
  // not, and when the model does not fit into memory beside what is there.
  SoftTeacher(Context& context, const std::filesystem::path& teacher, const ChatModel& student,
              double weight, double temperature, bool quiet);
  SoftTeacher(const SoftTeacher&) = delete;
  SoftTeacher& operator=(const SoftTeacher&) = delete;

  const SoftTargets& targets() const { return targets_; }

 private:
  LoadedModel model_;
  SoftTargets targets_;
};

}  // namespace fathom
