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

// The keys of a server and what each has taken of its limits. From any thread; nothing waits.
//
// Tokens per minute are a bucket that holds one minute's tokens and fills evenly. A request takes
// its prompt when it starts and its answer when it ends, which may leave the bucket below empty:
// the next request then waits for longer. A budget has the costs of requests that have ended, and
// the most that those under way can cost.
class KeyRing {
 public:
  // now: milliseconds since 1970.
  explicit KeyRing(std::function<int64_t()> now) : now_(std::move(now)) {}

  // Takes over what the store says. spent(key, from): the costs of a key's requests since `from`
  // (milliseconds since 1970), asked for keys that are new. Requests under way go on.
  void Load(const std::vector<std::pair<ApiKey, KeyHash>>& keys,
            const std::function<MicroDollars(int64_t key, int64_t from)>& spent);
  // Whether there is any key; then every request needs one.
  bool empty() const;
  // Keys that open something now.
  int64_t usable() const;

  // The id of the key in an Authorization header; 0 where there are no keys. AccessError: kNoKey,
  // kForbidden.
  int64_t Authenticate(std::string_view authorization, KeyRole role) const;
  // Whether a request of that key has a chance now, before anything is done for it. AccessError:
  // kRate, kBudget.
  void CheckRoom(int64_t key) const;
  // A request starts. most: what it can cost. AccessError: kRate, kTooLarge, kBudget. Returns the
  // key.
  ApiKey Take(int64_t key, int64_t prompt_tokens, MicroDollars most);
  // It has ended: `most` is free again, `cost` is spent.
  void Return(int64_t key, MicroDollars most, int64_t output_tokens, MicroDollars cost);

 private:
  struct State {
    ApiKey key;
    int64_t running = 0;
    double tokens = 0;       // in the bucket
    int64_t filled_at = 0;   // when that was so
    MicroDollars spent = 0;  // since `since`
    MicroDollars reserved = 0;
    int64_t since = 0;
  };

  // mutex_ is held in all of them.
  double Tokens(const State& state) const;
  void UseTokens(State& state, int64_t tokens);
  MicroDollars Spent(const State& state) const;
  void CheckRunning(const State& state) const;
  void CheckTokens(const State& state, int64_t wanted) const;
  void CheckBudget(const State& state, MicroDollars wanted) const;

  const std::function<int64_t()> now_;
  mutable std::mutex mutex_;
  std::map<int64_t, State> states_;  // by id; a key that is gone from the store is revoked
  // By the first bytes of the hash, which are as random as the rest.
  std::unordered_multimap<uint64_t, std::pair<KeyHash, int64_t>> by_hash_;
};

}  // namespace fathom
