#include "serve/accounts/key_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fathom {
namespace {

using Reason = AccessError::Reason;

constexpr double kMinute = 60'000;  // milliseconds
constexpr std::string_view kScheme = "Bearer ";

uint64_t FirstBytes(const KeyHash& hash) {
  uint64_t bytes;
  std::memcpy(&bytes, hash.data(), sizeof(bytes));
  return bytes;
}

bool IsUsable(const ApiKey& key, int64_t seconds) {
  return !key.disabled && key.revoked == 0 && (key.expires == 0 || key.expires > seconds);
}

bool SameScheme(std::string_view authorization) {
  if (authorization.size() < kScheme.size()) return false;
  return std::equal(kScheme.begin(), kScheme.end(), authorization.begin(), [](char a, char b) {
    return a == b || (a >= 'A' && a <= 'Z' && b == a + 32) || (a >= 'a' && b == a - 32);
  });
}

}  // namespace

void KeyRing::Load(const std::vector<std::pair<ApiKey, KeyHash>>& keys) {
  const std::lock_guard lock(mutex_);
  const int64_t now = now_();
  by_hash_.clear();
  for (auto& [id, state] : states_) state.key.disabled = true;
  for (const auto& [key, hash] : keys) {
    State& state = states_[key.id];
    // A bucket is as full as it was, of what it holds now.
    const int64_t limit = state.key.limits.tokens_per_minute;
    const double lacking = limit == 0 ? 0 : static_cast<double>(limit) - Tokens(state);
    state.key = key;
    state.tokens = static_cast<double>(key.limits.tokens_per_minute) - lacking;
    state.filled_at = now;
    if (key.revoked == 0) by_hash_.emplace(FirstBytes(hash), std::pair(hash, key.id));
  }
}

bool KeyRing::empty() const {
  const std::lock_guard lock(mutex_);
  return states_.empty();
}

int64_t KeyRing::usable() const {
  const std::lock_guard lock(mutex_);
  return std::count_if(
      states_.begin(), states_.end(),
      [seconds = now_() / 1000](const auto& entry) { return IsUsable(entry.second.key, seconds); });
}

bool KeyRing::has_budget() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(states_.begin(), states_.end(), [seconds = now_() / 1000](const auto& entry) {
    return IsUsable(entry.second.key, seconds) && entry.second.key.limits.budget;
  });
}

int64_t KeyRing::Authenticate(std::string_view authorization, KeyRole role) const {
  const bool has_key = SameScheme(authorization);
  const KeyHash hash = has_key ? HashOf(authorization.substr(kScheme.size())) : KeyHash{};
  const std::lock_guard lock(mutex_);
  if (states_.empty()) return 0;
  if (!has_key) {
    throw AccessError(Reason::kNoKey,
                      "a key is needed: send it in the header 'Authorization: Bearer KEY'");
  }
  const auto [begin, end] = by_hash_.equal_range(FirstBytes(hash));
  const auto found =
      std::find_if(begin, end, [&](const auto& entry) { return Equal(entry.second.first, hash); });
  if (found == end) throw AccessError(Reason::kNoKey, "this key is not known here");
  const ApiKey& key = states_.at(found->second.second).key;
  if (key.disabled) throw AccessError(Reason::kNoKey, "this key is disabled");
  if (key.expires != 0 && now_() / 1000 >= key.expires) {
    throw AccessError(Reason::kNoKey, "this key has expired");
  }
  if (role == KeyRole::kAdmin && key.role != KeyRole::kAdmin) {
    throw AccessError(Reason::kForbidden, "this address needs a key with the role 'admin'");
  }
  return key.id;
}

double KeyRing::Tokens(const State& state) const {
  const auto limit = static_cast<double>(state.key.limits.tokens_per_minute);
  const auto passed = static_cast<double>(now_() - state.filled_at);
  return std::min(limit, state.tokens + limit * passed / kMinute);
}

void KeyRing::UseTokens(State& state, int64_t tokens) {
  if (state.key.limits.tokens_per_minute == 0) return;
  state.tokens = Tokens(state) - static_cast<double>(tokens);
  state.filled_at = now_();
}

void KeyRing::CheckRunning(const State& state) const {
  const int64_t limit = state.key.limits.concurrency;
  if (limit == 0 || state.running < limit) return;
  throw AccessError(Reason::kRate,
                    fmt::format("this key has {} request{} under way, as many as it may", limit,
                                limit == 1 ? "" : "s"),
                    1);
}

void KeyRing::CheckTokens(const State& state, int64_t wanted) const {
  const int64_t limit = state.key.limits.tokens_per_minute;
  if (limit == 0) return;
  if (wanted > limit) {
    throw AccessError(
        Reason::kTooLarge,
        fmt::format("the prompt has {} tokens, and this key may use {} a minute", wanted, limit));
  }
  const double lacking = static_cast<double>(wanted) - Tokens(state);
  if (lacking <= 0) return;
  const double seconds = std::ceil(lacking * kMinute / 1000 / static_cast<double>(limit));
  throw AccessError(Reason::kRate,
                    fmt::format("this key has used up its {} tokens a minute", limit),
                    std::max<int64_t>(1, static_cast<int64_t>(seconds)));
}

void KeyRing::CheckRoom(int64_t key) const {
  if (key == 0) return;
  const std::lock_guard lock(mutex_);
  const State& state = states_.at(key);
  CheckRunning(state);
  CheckTokens(state, 1);
}

ApiKey KeyRing::Take(int64_t key, int64_t prompt_tokens) {
  if (key == 0) return {};
  const std::lock_guard lock(mutex_);
  State& state = states_.at(key);
  CheckRunning(state);
  CheckTokens(state, prompt_tokens);
  ++state.running;
  UseTokens(state, prompt_tokens);
  return state.key;
}

void KeyRing::GiveBack(int64_t key, int64_t prompt_tokens) {
  if (key == 0) return;
  const std::lock_guard lock(mutex_);
  UseTokens(states_.at(key), -prompt_tokens);
}

void KeyRing::Return(int64_t key, int64_t output_tokens) {
  if (key == 0) return;
  const std::lock_guard lock(mutex_);
  State& state = states_.at(key);
  --state.running;
  UseTokens(state, output_tokens);
}

}  // namespace fathom
