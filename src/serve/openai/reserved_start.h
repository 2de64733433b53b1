#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "serve/openai/engine_service.h"
#include "serve/openai/generation.h"

namespace fathom {

// A request between its admission and the engine: it may start once what it can cost is reserved,
// unless its client has gone by then. From any thread.
class ReservedStart {
 public:
  // The engine has to outlive it.
  ReservedStart(EngineService& engine, std::vector<GenerationRequest> choices,
                std::shared_ptr<Generation> generation);

  // It is reserved, or refused, and the client is told so.
  void Go(const Refusal& refusal);
  // The client has gone: what has started is cancelled.
  void GiveUp();

 private:
  EngineService& engine_;
  std::mutex mutex_;
  std::vector<GenerationRequest> choices_;
  std::shared_ptr<Generation> generation_;  // null once it has been started or given up
  uint64_t ticket_ = 0;                     // 0: it has not been started
};

}  // namespace fathom
