#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "posttrain/rewards/reward.h"
#include "posttrain/verifier/sandbox.h"

namespace fathom {

struct VerifierOptions {
  std::string command;  // for /bin/sh
  int workers = 1;      // processes that run it at a time
  double timeout_seconds = 10;
  bool messages = false;  // a reply may be {"message": "..."} in place of a reward
  SandboxLimits limits;
};

struct VerifierReply {
  RewardValue value;
  std::string error;                   // why it has no value, in words
  std::optional<std::string> message;  // said in its place
};

// Processes of one command that judge answers: each reads a line of JSON (a request), writes a line
// of JSON, {"reward": NUMBER or true or false, ...}, and waits for the next one. A process that
// ends after a reply is started again for the next request; one that takes too long, writes
// anything else, or dies is killed as a whole and replaced, and only the request it had is lost.
// Started when they are first needed.
//
// Not thread-safe. The thread that calls Ask first has to outlive it: the kernel ends its processes
// with that thread.
class VerifierPool {
 public:
  explicit VerifierPool(VerifierOptions options);
  ~VerifierPool();

  // The replies to the requests (JSON without line ends), in their order. Throws Error when the
  // command cannot be run, when it has never given a reply and fails again and again, and when the
  // work is interrupted.
  std::vector<VerifierReply> Ask(std::span<const std::string> requests);

  // Whether every process that was started was in namespaces, and confined in what it writes.
  bool has_namespaces() const { return has_namespaces_; }
  bool writes_confined() const { return writes_confined_; }

 private:
  class Worker;

  VerifierOptions options_;
  std::vector<std::unique_ptr<Worker>> workers_;
  bool has_namespaces_ = true, writes_confined_ = true;
  int64_t replies_ = 0, failures_in_a_row_ = 0;
};

}  // namespace fathom
