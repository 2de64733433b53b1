#include "posttrain/grpo/episode.h"

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "text/chat/prompt.h"
#include "text/chat/thinking_splitter.h"
#include "text/chat/transcript.h"

namespace fathom {
namespace {

ChatMessage AnswerMessage(const Completion& completion) {
  ChatMessage message{.role = "assistant"};
  std::string thoughts;
  ThinkingSplitter splitter(completion.inside_thinking);
  for (const auto& pieces : {splitter.Push(completion.text), splitter.Finish()}) {
    for (const auto& [part, text] : pieces) {
      if (part == ThinkingSplitter::Part::kAnswer) message.content += text;
      if (part == ThinkingSplitter::Part::kThought) thoughts += text;
    }
  }
  if (!thoughts.empty()) message.reasoning = std::move(thoughts);
  return message;
}

// Whether a prompt goes on from a sequence.
bool GoesOnFrom(const std::vector<int32_t>& prompt, const Rollout& sequence) {
  const size_t before = sequence.prompt.size();
  return prompt.size() >= before + sequence.answer.size() &&
         std::equal(sequence.prompt.begin(), sequence.prompt.end(), prompt.begin()) &&
         std::equal(sequence.answer.begin(), sequence.answer.end(),
                    prompt.begin() + static_cast<std::ptrdiff_t>(before));
}

// Conversations under way.
class Play {
 public:
  Play(Engine& engine, const ChatModel& model, const GrpoConfig& config,
       const EpisodeOptions& options, ExternalJudge* environment)
      : engine_(engine),
        model_(model),
        config_(config),
        options_(options),
        environment_(environment) {}

  std::vector<Episode> Run(std::span<const PromptedProblem* const> problems) {
    for (size_t p = 0; p < problems.size(); ++p) {
      ChatTranscript transcript(model_.tokenizer);
      if (environment_ != nullptr) (void)transcript.Encode(Prompt(*problems[p], {}));
      for (int64_t a = 0; a < options_.answers; ++a) {
        talks_.push_back({.episode = {.problem = problems[p], .finished = true},
                          .transcript = transcript,
                          .next = problems[p]->prompt,
                          .inside_thinking = problems[p]->inside_thinking,
                          .seed = MixKey(options_.seed, p),
                          .choice = static_cast<uint64_t>(a)});
      }
    }
    std::vector<Talk*> active;
    for (Talk& talk : talks_) active.push_back(&talk);
    for (int64_t turn = 1; !active.empty(); ++turn) {
      Answer(active, turn);
      if (environment_ == nullptr) break;
      active = Judge(active, turn);
    }
    std::vector<Episode> episodes;
    for (Talk& talk : talks_) episodes.push_back(std::move(talk.episode));
    return episodes;
  }

 private:
  struct Talk {
    Episode episode;
    ChatTranscript transcript;
    std::vector<int32_t> next;  // the prompt
    bool inside_thinking;       // where it ends
    uint64_t seed, choice;
  };

  jinja::Text Prompt(const PromptedProblem& problem, std::span<const ChatMessage> said) const {
    std::vector<ChatMessage> messages = PromptMessages(config_, problem.problem);
    messages.insert(messages.end(), said.begin(), said.end());
    return RenderPrompt(config_, model_, messages);
  }

  void Answer(std::span<Talk* const> active, int64_t turn) {
    std::vector<RolloutRequest> requests;
    for (const Talk* talk : active) {
      requests.push_back(
          {.prompt = talk->next,
           .seed = turn == 1 ? talk->seed : MixKey(talk->seed, static_cast<uint64_t>(turn)),
           .choice = talk->choice});
    }
    std::vector<Rollout> rollouts = MakeRollouts(engine_, requests,
                                                 {.max_tokens = options_.max_tokens,
                                                  .temperature = options_.temperature,
                                                  .stop_ids = model_.stop_ids});
    for (size_t i = 0; i < active.size(); ++i) Take(*active[i], std::move(rollouts[i]));
  }

  void Take(Talk& talk, Rollout rollout) {
    Episode& episode = talk.episode;
    ++episode.turns;
    episode.tokens += static_cast<int64_t>(rollout.answer.size());
    episode.finished = episode.finished && rollout.finished;
    const auto shown =
        std::span(rollout.answer).first(rollout.answer.size() - (rollout.finished ? 1 : 0));
    episode.completion = {.text = model_.tokenizer.Decode(shown),
                          .inside_thinking = talk.inside_thinking,
                          .finished = rollout.finished,
                          .tokens = static_cast<int64_t>(rollout.answer.size())};
    if (environment_ != nullptr) {
      talk.transcript.Append(shown, episode.completion.text);
      episode.said.push_back(AnswerMessage(episode.completion));
    }
    if (episode.sequences.empty() || !GoesOnFrom(rollout.prompt, episode.sequences.back())) {
      episode.sequences.push_back(std::move(rollout));
      return;
    }
    Rollout& whole = episode.sequences.back();
    whole.answer.insert(whole.answer.end(),
                        rollout.prompt.begin() +
                            static_cast<std::ptrdiff_t>(whole.prompt.size() + whole.answer.size()),
                        rollout.prompt.end());
    whole.written.emplace_back(whole.answer.size(), rollout.answer.size());
    whole.answer.insert(whole.answer.end(), rollout.answer.begin(), rollout.answer.end());
    whole.logprobs.insert(whole.logprobs.end(), rollout.logprobs.begin(), rollout.logprobs.end());
    whole.finished = rollout.finished;
  }

  // Those that go on.
  std::vector<Talk*> Judge(std::span<Talk* const> active, int64_t turn) {
    std::vector<std::vector<ChatMessage>> messages;
    for (const Talk* talk : active) {
      messages.push_back(PromptMessages(config_, talk->episode.problem->problem));
      messages.back().insert(messages.back().end(), talk->episode.said.begin(),
                             talk->episode.said.end());
    }
    std::vector<JudgeRequest> requests;
    for (size_t i = 0; i < active.size(); ++i) {
      const Episode& episode = active[i]->episode;
      requests.push_back({.problem = &episode.problem->problem,
                          .completion = &episode.completion,
                          .messages = messages[i],
                          .turn = turn,
                          .turns = episode.finished ? options_.turns : turn});
    }
    const std::vector<VerifierReply> replies = environment_->Judge(requests);
    std::vector<Talk*> going_on;
    for (size_t i = 0; i < active.size(); ++i) {
      Episode& episode = active[i]->episode;
      if (!replies[i].message) {
        episode.verdict = replies[i].value;
        continue;
      }
      const bool last = requests[i].turn == requests[i].turns;
      if (!last && Hear(*active[i], *replies[i].message)) {
        going_on.push_back(active[i]);
        continue;
      }
      episode.verdict = RewardValue{0, RewardStatus::kFailed};
      if (last && !warned_) {
        spdlog::warn(
            "the environment said something after the last turn, where only a reward "
            "counts (\"turn\" was \"turns\")");
        warned_ = true;
      }
    }
    return going_on;
  }

  // Whether there is room for the message and an answer.
  bool Hear(Talk& talk, const std::string& message) {
    Episode& episode = talk.episode;
    const Rollout& before = episode.sequences.back();
    const auto length = static_cast<int64_t>(before.prompt.size() + before.answer.size());
    episode.said.push_back({.role = "user", .content = message});
    const jinja::Text prompt = Prompt(*episode.problem, episode.said);
    talk.next = talk.transcript.Encode(prompt);
    talk.inside_thinking = EndsInsideThinking(prompt);
    const auto tokens = static_cast<int64_t>(talk.next.size());
    const bool fits = tokens <= length + options_.message_tokens;
    if (!fits && !warned_) {
      spdlog::warn(
          "a message of the environment has {} tokens, which is more than "
          "rollout.message_tokens",
          tokens - length);
      warned_ = true;
    }
    return fits && tokens + options_.max_tokens <= model_.config.max_position_embeddings;
  }

  Engine& engine_;
  const ChatModel& model_;
  const GrpoConfig& config_;
  const EpisodeOptions& options_;
  ExternalJudge* environment_;
  std::vector<Talk> talks_;
  bool warned_ = false;
};

}  // namespace

std::vector<Episode> PlayEpisodes(Engine& engine, const ChatModel& model, const GrpoConfig& config,
                                  std::span<const PromptedProblem* const> problems,
                                  const EpisodeOptions& options, ExternalJudge* environment) {
  return Play(engine, model, config, options, environment).Run(problems);
}

}  // namespace fathom
