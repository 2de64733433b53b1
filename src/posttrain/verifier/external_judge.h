#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "posttrain/rewards/reward.h"
#include "posttrain/verifier/verifier.h"
#include "text/chat/chat_message.h"

namespace fathom {

// What a command of the user's is asked to judge.
struct JudgeRequest {
  const TaskProblem* problem;
  const Completion* completion;  // the last that the model wrote
  // Of a conversation with the command: all that was said, the completion at its end. Empty where
  // there is none.
  std::span<const ChatMessage> messages;
  int64_t turn = 1, turns = 1;  // of the completion, counted from 1, and at most
};

// A command of the user's that judges what a model wrote, and may say something in its turn. It is
// asked with {"problem": the row of the task file, "completion": all that the model wrote,
// "thinking", "answer": what stands behind the thoughts}; in conversations with {"messages",
// "turn", "turns"} besides. Warns once for each way in which it fails.
class ExternalJudge {
 public:
  explicit ExternalJudge(VerifierOptions options) : pool_(std::move(options)) {}

  // Errors of VerifierPool::Ask.
  std::vector<VerifierReply> Judge(std::span<const JudgeRequest> requests);

 private:
  void SayWhatIsMissing() const;

  VerifierPool pool_;
  bool warned_[4] = {}, said_ = false;
};

// The reward of a command ("external"). What has a verdict already is not asked again.
std::unique_ptr<RewardFunction> MakeExternalReward(VerifierOptions options);

}  // namespace fathom
