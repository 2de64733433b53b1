#include "serve/openai/reserved_start.h"

#include <utility>

namespace fathom {

ReservedStart::ReservedStart(EngineService& engine, std::vector<GenerationRequest> choices,
                             std::shared_ptr<Generation> generation)
    : engine_(engine), choices_(std::move(choices)), generation_(std::move(generation)) {}

void ReservedStart::Go(const Refusal& refusal) {
  const std::lock_guard lock(mutex_);
  if (generation_ == nullptr) return;
  const std::shared_ptr<Generation> generation = std::exchange(generation_, nullptr);
  if (refusal) {
    generation->Fail(ApiError(*refusal));
  } else {
    ticket_ = engine_.Submit(std::move(choices_), generation);
  }
}

void ReservedStart::GiveUp() {
  const std::lock_guard lock(mutex_);
  generation_ = nullptr;
  if (ticket_ != 0) engine_.Cancel(ticket_);
}

}  // namespace fathom
