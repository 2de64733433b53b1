#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/accounts/accounts.h"
#include "serve/http/server.h"
#include "serve/openai/engine_service.h"

namespace fathom {

// What a server tells Prometheus. What vLLM's servers tell has vLLM's names, labels and buckets, so
// that dashboards and alerts for these work; what is ours begins with "fathom_". A request with
// several answers counts as several there.
class ServerMetrics : public EngineObserver {
 public:
  // max_length: tokens of a sequence, the end of histograms of lengths. accounts has to outlive it.
  ServerMetrics(const std::string& model, int64_t max_length, const Accounts& accounts);
  ~ServerMetrics() override;

  // GET /metrics, for admins.
  void AddTo(WebRouter& router);
  // All of it, in the text format.
  std::string Text() const;

  // Counts an answered HTTP request.
  void OnAnswered(const WebRecord& record);

  void OnStep(const Engine& engine) override;
  void OnToken(const EngineEvent& event, Seconds since_last) override;
  void OnEnd(const RequestUsage& usage, std::string_view reason, Seconds since_arrival) override;

 private:
  struct Families;  // Prometheus' own
  // Of the engine, after its last step.
  struct Snapshot {
    int64_t running = 0, waiting = 0;
    int64_t pages = 0, free_pages = 0, kept_pages = 0, page_tokens = 0;
    Engine::Statistics statistics;
    ExpertLoad expert_load;
  };

  void CountPrompt(const RequestUsage& usage);

  const Accounts& accounts_;
  const std::unique_ptr<Families> families_;
  mutable std::mutex mutex_;
  Snapshot snapshot_;
  // Answered requests, by route ("other" for what is none) and status.
  std::map<std::pair<std::string, int>, int64_t> answered_;
};

}  // namespace fathom
