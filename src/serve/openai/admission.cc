#include "serve/openai/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "serve/accounts/access_error.h"

namespace fathom {
namespace {

constexpr double kMargin = 0.8;
constexpr double kMemory = 10;   // seconds after which what was measured counts 1/e
constexpr double kNewest = 0.1;  // weight of a request's bytes a token
// Estimates below this share of the objective say nothing about how wrong estimates are.
constexpr double kTelling = 0.2;
constexpr size_t kErrors = 512;
constexpr std::chrono::seconds kErrorsAge{60};
constexpr double kErrorsQuantile = 0.99;
constexpr double kLeastCorrection = 0.5, kMostCorrection = 10;
// A body is never taken for more tokens than it has bytes, nor for next to none.
constexpr double kLeastBytes = 1, kMostBytes = 16;

}  // namespace

void Admission::Rate::Add(double amount, double seconds) {
  const double kept = std::exp(-seconds / kMemory);
  amount_ = amount_ * kept + amount;
  seconds_ = seconds_ * kept + seconds;
}

void Admission::SetObjective(std::chrono::duration<double> objective) {
  const std::lock_guard lock(mutex_);
  options_.objective = objective;
}

Admission::Place::~Place() {
  const std::lock_guard lock(admission_.mutex_);
  admission_.Change(key_, -tokens_, -choices_, -1);
}

void Admission::Place::Set(int64_t tokens, int64_t choices) {
  const std::lock_guard lock(admission_.mutex_);
  admission_.Change(key_, tokens - tokens_, choices - choices_, 0);
  tokens_ = tokens;
  choices_ = choices;
  if (bytes_ == 0 || tokens == 0) return;
  const double bytes = static_cast<double>(bytes_) / static_cast<double>(tokens);
  admission_.bytes_per_token_ +=
      kNewest * (std::clamp(bytes, kLeastBytes, kMostBytes) - admission_.bytes_per_token_);
}

void Admission::Place::Begin() {
  const std::lock_guard lock(admission_.mutex_);
  // Where next to nothing was before it, what it took is that of a step.
  if (estimate_ < kTelling * admission_.options_.objective.count() || estimate_ == 0) return;
  const Clock::time_point now = admission_.now_();
  admission_.errors_.push_back(
      {now, std::chrono::duration<double>(now - arrival_).count() / estimate_});
  if (admission_.errors_.size() > kErrors) admission_.errors_.pop_front();
}

double Admission::Correction() {
  const Clock::time_point now = now_();
  while (!errors_.empty() && now - errors_.front().time > kErrorsAge) errors_.pop_front();
  if (errors_.empty()) return 1;
  std::vector<double> ratios;
  ratios.reserve(errors_.size());
  for (const Error& error : errors_) ratios.push_back(error.ratio);
  const auto quantile =
      ratios.begin() +
      static_cast<int64_t>(kErrorsQuantile * static_cast<double>(ratios.size() - 1));
  std::nth_element(ratios.begin(), quantile, ratios.end());
  return std::clamp(*quantile, kLeastCorrection, kMostCorrection);
}

void Admission::Change(int64_t key, int64_t tokens, int64_t choices, int64_t requests) {
  Load& own = of_key_[key];
  for (Load* load : {&own, &all_}) {
    load->tokens += tokens;
    load->choices += choices;
    load->requests += requests;
  }
  if (own.requests == 0) of_key_.erase(key);
}

double Admission::Estimate(const Load& own, int64_t tokens) const {
  const auto keys = static_cast<double>(of_key_.size() + (own.requests == 0 ? 1 : 0));
  // What is before it, of all and by its key's share.
  const auto before = [keys](int64_t all, int64_t mine) {
    return std::min(static_cast<double>(all), keys * static_cast<double>(mine));
  };
  const double prefill = before(all_.tokens + tokens, own.tokens + tokens) / prompts_.value();
  const int64_t places = options_.max_running - writing_;
  const double answers = before(all_.choices + 1, own.choices + 1) - static_cast<double>(places);
  if (answers <= 0 || ends_.value() == 0) return prefill;
  return std::max(prefill,
                  answers / ends_.value() + static_cast<double>(tokens) / prompts_.value());
}

std::shared_ptr<Admission::Place> Admission::Admit(int64_t key, uint64_t body_bytes) {
  const std::lock_guard lock(mutex_);
  const auto tokens = static_cast<int64_t>(static_cast<double>(body_bytes) / bytes_per_token_);
  const auto found = of_key_.find(key);
  const Load own = found == of_key_.end() ? Load{} : found->second;
  const double objective = options_.objective.count();
  double estimate = 0;
  const bool is_alone = all_.requests == 0 && writing_ < options_.max_running;
  if (objective > 0 && !is_alone) {
    const bool is_measured = prompts_.value() > 0;
    if (!is_measured && writing_ + all_.choices >= options_.max_running) {
      throw AccessError(AccessError::Reason::kOverloaded,
                        "the server has begun, and does not know yet how fast it is", 1);
    }
    if (is_measured) estimate = Estimate(own, tokens);
    const double wait = Correction() * estimate;
    if (wait > kMargin * objective) {
      throw AccessError(
          AccessError::Reason::kOverloaded,
          fmt::format("the server is busy: the first token would take about {:.1f} s", wait),
          std::max<int64_t>(1, std::llround(wait - kMargin * objective)));
    }
  }
  Change(key, tokens, 1, 1);
  return std::shared_ptr<Place>(new Place(*this, key, body_bytes, tokens, estimate));
}

void Admission::OnStep(const Engine& engine) {
  const std::lock_guard lock(mutex_);
  const Engine::Statistics& statistics = engine.statistics();
  const Clock::time_point now = now_();
  if (statistics.steps > steps_) {
    const double seconds = std::chrono::duration<double>(now - last_step_).count();
    const int64_t prompts = statistics.prompt_tokens - prompt_tokens_;
    if (prompts > 0) prompts_.Add(static_cast<double>(prompts), seconds);
    // Where there are places left, ends say nothing about waiting for one.
    if (full_) ends_.Add(static_cast<double>(ended_), seconds);
    ended_ = 0;
  }
  full_ = engine.scheduler().running() >= options_.max_running;
  steps_ = statistics.steps;
  prompt_tokens_ = statistics.prompt_tokens;
  last_step_ = now;
}

void Admission::OnToken(const EngineEvent& event, Seconds) {
  if (event.usage.answer_tokens != 1) return;
  const std::lock_guard lock(mutex_);
  ++writing_;
}

void Admission::OnEnd(const RequestUsage& usage, std::string_view, Seconds) {
  if (usage.answer_tokens == 0) return;
  const std::lock_guard lock(mutex_);
  --writing_;
  ++ended_;
}

}  // namespace fathom
