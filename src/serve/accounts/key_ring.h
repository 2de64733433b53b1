#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "serve/accounts/access_error.h"
#include "serve/accounts/api_key.h"

namespace fathom {

// The keys of a server, and what each has taken here of what a server limits. From any thread;
// nothing waits. Budgets, and requests at a time on all servers, are the store's to look after.
//
// Tokens per minute are a bucket that holds one minute's tokens and fills evenly. A request takes
// its prompt when it starts and its answer when it ends, which may leave the bucket below empty:
// the next request then waits for longer. Each server has its own.
class KeyRing {
 public:
  // now: milliseconds since 1970.
  explicit KeyRing(std::function<int64_t()> now) : now_(std::move(now)) {}

  // Takes over what the store says. Requests under way go on.
  void Load(const std::vector<std::pair<ApiKey, KeyHash>>& keys);
  // Whether there is any key; then every request needs one.
  bool empty() const;
  // Keys that open something now.
  int64_t usable() const;
  // Whether one of these has a budget.
  bool has_budget() const;

  // The id of the key in an Authorization header; 0 where there are no keys. AccessError: kNoKey,
  // kForbidden.
  int64_t Authenticate(std::string_view authorization, KeyRole role) const;
  // Whether a request of that key has a chance now, before anything is done for it. AccessError:
  // kRate.
  void CheckRoom(int64_t key) const;
  // A request starts. AccessError: kRate, kTooLarge. Returns the key.
  ApiKey Take(int64_t key, int64_t prompt_tokens);
  // Its prompt was not computed: the store has refused it.
  void GiveBack(int64_t key, int64_t prompt_tokens);
  // It has ended.
  void Return(int64_t key, int64_t output_tokens);

 private:
  struct State {
    ApiKey key;
    int64_t running = 0;
    double tokens = 0;      // in the bucket
    int64_t filled_at = 0;  // when that was so
  };

  // mutex_ is held in all of them.
  double Tokens(const State& state) const;
  void UseTokens(State& state, int64_t tokens);
  void CheckRunning(const State& state) const;
  void CheckTokens(const State& state, int64_t wanted) const;

  const std::function<int64_t()> now_;
  mutable std::mutex mutex_;
  std::map<int64_t, State> states_;  // by id; a key that is gone from the store is revoked
  // By the first bytes of the hash, which are as random as the rest.
  std::unordered_multimap<uint64_t, std::pair<KeyHash, int64_t>> by_hash_;
};

}  // namespace fathom
