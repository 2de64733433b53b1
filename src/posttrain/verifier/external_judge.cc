#include "posttrain/verifier/external_judge.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

std::string RequestText(const JudgeRequest& request) {
  const CompletionParts parts = SplitCompletion(*request.completion);
  const std::string& row = request.problem->row;
  ordered_json json;
  json["problem"] = ordered_json::parse(row.empty() ? "null" : row);
  json["completion"] = request.completion->text;
  json["thinking"] = parts.thinking;
  json["answer"] = parts.answer;
  if (!request.messages.empty()) {
    json["messages"] = ordered_json::array();
    for (const ChatMessage& message : request.messages) {
      ordered_json& said = json["messages"].emplace_back();
      said["role"] = message.role;
      if (message.reasoning) said["reasoning_content"] = *message.reasoning;
      said["content"] = message.content;
    }
    json["turn"] = request.turn;
    json["turns"] = request.turns;
  }
  // What is no UTF-8 becomes U+FFFD.
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

class ExternalReward : public RewardFunction {
 public:
  explicit ExternalReward(VerifierOptions options) : judge_(std::move(options)) {}

  std::string_view name() const override { return "external"; }

  void Score(std::span<const RewardInput> inputs, std::span<RewardValue> values) override {
    std::vector<JudgeRequest> requests;
    std::vector<size_t> asked;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].verdict != nullptr) {
        values[i] = *inputs[i].verdict;
        continue;
      }
      requests.push_back({.problem = inputs[i].problem, .completion = inputs[i].completion});
      asked.push_back(i);
    }
    const auto replies = judge_.Judge(requests);
    for (size_t k = 0; k < asked.size(); ++k) values[asked[k]] = replies[k].value;
  }

 private:
  ExternalJudge judge_;
};

}  // namespace

std::vector<VerifierReply> ExternalJudge::Judge(std::span<const JudgeRequest> requests) {
  if (requests.empty()) return {};
  std::vector<std::string> texts;
  for (const JudgeRequest& request : requests) texts.push_back(RequestText(request));
  std::vector<VerifierReply> replies = pool_.Ask(texts);
  for (const VerifierReply& reply : replies) {
    // The first of a kind says more than a count.
    const auto status = static_cast<size_t>(reply.value.status);
    if (reply.error.empty() || std::exchange(warned_[status], true)) continue;
    spdlog::warn("verifier: {} (counted from here on)", reply.error);
  }
  if (!std::exchange(said_, true)) SayWhatIsMissing();
  return replies;
}

void ExternalJudge::SayWhatIsMissing() const {
  if (!pool_.has_namespaces()) {
    spdlog::warn(
        "verifier: this kernel gives no namespaces; processes are held by their group, and the "
        "network is refused call by call (docs/security.md)");
  }
  if (!pool_.writes_confined()) {
    spdlog::warn(
        "verifier: this kernel has no Landlock; the command can write wherever this user can "
        "(docs/security.md)");
  }
}

std::unique_ptr<RewardFunction> MakeExternalReward(VerifierOptions options) {
  return std::make_unique<ExternalReward>(std::move(options));
}

}  // namespace fathom
