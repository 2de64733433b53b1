#include "cli/chat.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cli/common.h"
#include "cli/generation_options.h"
#include "cli/line_reader.h"
#include "cli/model_engine.h"
#include "text/chat/chat_template.h"
#include "text/chat/thinking_splitter.h"
#include "text/chat/transcript.h"
#include "text/stream_decoder.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

struct ChatArguments {
  CommonOptions common;
  PrecisionOption precision;
  AdapterOption adapter;
  SamplingOptions sampling;
  CacheOptions cache;
  DraftOptions draft;
  std::filesystem::path directory;
  std::string system;
  int64_t max_tokens = 1024;
  int64_t context = 8192;
  std::optional<bool> think;
};

constexpr const char* kCommands = "/new begins another conversation, Ctrl-D leaves";

class Conversation {
 public:
  explicit Conversation(ChatArguments& arguments)
      : arguments_(arguments),
        device_(arguments.common.device, arguments.common.threads),
        model_(arguments.directory, arguments.precision.Get(), arguments.draft.wants_mtp(),
               arguments.adapter.directory),
        template_(ChatTemplate::Load(
            [this](std::string_view name) { return model_.mapped().source().SideFile(name); },
            arguments.directory.string(), &model_.RequireTokenizer())),
        transcript_(model_.RequireTokenizer()),
        terminal_(isatty(STDIN_FILENO) != 0),
        prompts_(terminal_ && !arguments.common.quiet) {
    context_ = std::min(arguments.context, model_.config().max_position_embeddings);
    sampling_ = arguments.sampling.Resolve(model_.defaults(), arguments.common.Seed());
    stop_ids_ = model_.defaults().stop_ids;
    for (const int32_t id : template_.StopIds(model_.RequireTokenizer())) stop_ids_.push_back(id);
    if (!arguments.system.empty()) messages_.push_back({"system", arguments.system});
    // The conversation, and a copy of the page that a turn begins in.
    const int64_t pages = KvCache::Pages(context_) + 1;
    EngineOptions options{.max_running = 1, .max_length = context_};
    arguments.draft.Apply(model_, options);
    engine_.emplace(device_, model_, arguments.cache, pages, pages, options,
                    arguments.common.quiet);
  }

  void Run() {
    if (prompts_) fmt::print(stderr, "Ctrl-C stops an answer, {}.\n", kCommands);
    // Ctrl-C between a question and its answer is meant for the answer.
    const InterruptGuard guard;
    for (std::string line; Ask(line);) {
      if (line.empty()) continue;
      if (line == "/new") {
        messages_.resize(arguments_.system.empty() ? 0 : 1);
        continue;
      }
      if (line.starts_with('/')) {
        fmt::print(stderr,
                   "There is no command {}: {}. A line for the model that begins with a slash "
                   "wants a space before it.\n",
                   line.substr(0, line.find(' ')), kCommands);
        continue;
      }
      messages_.push_back({"user", line});
      try {
        messages_.push_back(Answer());
      } catch (const Error& error) {
        // The conversation goes on without what could not be answered.
        engine_->engine().Cancel(request_);
        messages_.pop_back();
        if (!terminal_) throw;
        fmt::print(stderr, "fathom: error: {}\n", error.what());
      }
      if (InterruptGuard::Signal() == SIGTERM) break;
      InterruptGuard::Forget();
    }
    if (prompts_) fmt::print(stderr, "\n");
  }

 private:
  // False: there are no more questions. Ctrl-C gives up what is being typed and not the
  // conversation.
  bool Ask(std::string& line) {
    while (true) {
      if (prompts_) fmt::print(stderr, "> ");
      const LineReader::Result result = lines_.Next(line);
      if (result != LineReader::Result::kInterrupted) return result == LineReader::Result::kLine;
      if (!terminal_) InterruptGuard::ThrowIfRequested("chat");
      if (InterruptGuard::Signal() == SIGTERM) return false;
      InterruptGuard::Forget();
      fmt::print(stderr, "\n{}.\n", kCommands);
    }
  }

  struct Prompt {
    std::vector<int32_t> ids;
    bool inside_thinking;  // the answer begins there
  };

  // The conversation's ids, the oldest questions and answers left out as far as the context asks
  // for it.
  Prompt MakePrompt() {
    const size_t fixed = arguments_.system.empty() ? 0 : 1;
    for (;;) {
      const jinja::Text text =
          template_.Render(ChatMessagesToData(messages_), {.think = arguments_.think});
      std::vector<int32_t> ids = transcript_.Encode(text);
      // Room for an answer: a quarter of the context, or as much as may be written.
      const int64_t room = std::min(arguments_.max_tokens, std::max<int64_t>(1, context_ / 4));
      if (static_cast<int64_t>(ids.size()) + room <= context_) {
        return {std::move(ids), EndsInsideThinking(text)};
      }
      if (messages_.size() < fixed + 3) {
        throw Error("chat",
                    fmt::format("{} tokens do not fit into the context of {} with {} for "
                                "the answer",
                                ids.size(), context_, room),
                    "write less, or give a larger --context");
      }
      messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(fixed),
                      messages_.begin() + static_cast<std::ptrdiff_t>(fixed) + 2);
    }
  }

  ChatMessage Answer() {
    Prompt prompt = MakePrompt();
    const auto length = static_cast<int64_t>(prompt.ids.size());
    Engine& engine = engine_->engine();
    // Each answer draws from a stream of its own, as if it were another choice.
    request_ = engine.AddRequest({.prompt = std::move(prompt.ids),
                                  .sampling = sampling_,
                                  .choice = answers_++,
                                  .max_tokens = std::min(arguments_.max_tokens, context_ - length),
                                  .stop_ids = stop_ids_});
    StreamDecoder decoder(model_.RequireTokenizer());
    ThinkingSplitter splitter(prompt.inside_thinking);
    std::string answer, thoughts, written;
    std::vector<int32_t> tokens;
    RequestUsage usage;
    std::string_view finish = "interrupted";
    const bool json = arguments_.common.json, dims = isatty(STDOUT_FILENO) != 0;
    const auto show = [&](const std::vector<ThinkingSplitter::Piece>& pieces) {
      for (const auto& [part, text] : pieces) {
        if (part == ThinkingSplitter::Part::kAnswer) answer += text;
        if (part == ThinkingSplitter::Part::kThought) thoughts += text;
        if (json) continue;
        const bool is_dim = dims && part != ThinkingSplitter::Part::kAnswer;
        WriteStandardOutput(is_dim ? "\033[2m" + text + "\033[0m" : text);
      }
    };
    const auto take = [&](const std::string& piece) {
      written += piece;
      show(splitter.Push(piece));
    };
    while (!engine.idle() && !InterruptGuard::Requested()) {
      for (const EngineEvent& event : engine.Step()) {
        if (event.finish == FinishReason::kFailed) throw Error("chat", event.error);
        tokens.push_back(event.token);
        if (event.finish != FinishReason::kStop) take(decoder.Push(event.token));
        if (event.finish == FinishReason::kNone) continue;
        finish = Name(event.finish);
        usage = event.usage;
      }
    }
    engine.Cancel(request_);  // where it was interrupted
    take(decoder.Finish());
    std::span<const int32_t> of_text = tokens;
    if (finish == Name(FinishReason::kStop)) of_text = of_text.first(of_text.size() - 1);
    transcript_.Append(of_text, written);
    show(splitter.Finish());
    ChatMessage message{.role = "assistant", .content = std::move(answer)};
    if (!thoughts.empty()) message.reasoning = std::move(thoughts);
    if (json) {
      WriteJson(
          {{"content", message.content},
           {"reasoning", message.reasoning ? ordered_json(*message.reasoning) : ordered_json()},
           {"prompt_tokens", length},
           {"tokens", tokens},
           {"finish_reason", finish},
           {"cached_tokens", usage.cached_tokens},
           {"seconds_to_first_token", usage.first_token_seconds},
           {"seed", sampling_.seed}});
    } else {
      WriteStandardOutput("\n");
    }
    // Whoever is not there to ask on wants the whole to stop.
    if (!terminal_) InterruptGuard::ThrowIfRequested("chat");
    return message;
  }

  ChatArguments& arguments_;
  Device device_;
  LoadedModel model_;
  ChatTemplate template_;
  ChatTranscript transcript_;
  std::optional<ModelEngine> engine_;
  SamplingParams sampling_;
  std::vector<int32_t> stop_ids_;
  std::vector<ChatMessage> messages_;
  int64_t context_ = 0;
  uint64_t answers_ = 0;
  int64_t request_ = -1;  // the last one
  LineReader lines_;
  bool terminal_;  // somebody types
  bool prompts_;
};

}  // namespace

void AddChatCommand(Command app) {
  Command command =
      app.AddCommand("chat", "Talk with a model in the terminal, or one question a line on stdin.");
  command.Footer("Example: fathom chat my-model --system 'Answer briefly.' --temperature 0.6");
  const auto arguments = std::make_shared<ChatArguments>();
  command.AddOption("MODEL", arguments->directory, "A model directory or a .gguf file").Required();
  command.AddOption("--system", arguments->system, "What the model is told before the talk");
  command.AddOption("--max-tokens", arguments->max_tokens, "Tokens of an answer at most")
      .InRange(1, int64_t{1} << 24)
      .ShowDefault();
  command
      .AddOption("--context", arguments->context,
                 "Tokens of the conversation that are kept, at most the model's context")
      .InRange(16, int64_t{1} << 24)
      .ShowDefault();
  AddThinkFlags(command, arguments->think);
  arguments->sampling.AddTo(command);
  arguments->draft.AddTo(command);
  arguments->cache.AddTo(command);
  arguments->precision.AddTo(command);
  arguments->adapter.AddTo(command);
  arguments->common.AddTo(command);
  command.GetOption("--json").Describe("Print every answer as one line of JSON on stdout");
  command.OnRun([arguments] { Conversation(*arguments).Run(); });
}

}  // namespace fathom
