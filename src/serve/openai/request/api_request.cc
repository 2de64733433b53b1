#include "serve/openai/request/api_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "base/error.h"
#include "serve/openai/request/api_error.h"
#include "text/chat/chat_message.h"

namespace fathom {
namespace {

constexpr int64_t kMostChoices = 128;  // to a prompt
constexpr int64_t kMostInTotal = 1024;
constexpr int64_t kMostTopLogprobs = 20;
constexpr size_t kMostStops = 16;
constexpr size_t kMostPrompts = 128;
constexpr size_t kMostInputs = 2048;
// The lowest temperature that sampling knows besides 0; clients say 1e-5 and mean about that.
constexpr double kLeastTemperature = 0.01;
constexpr std::string_view kBody = "body";

// "body: messages[0].role" is the field "messages[0].role".
std::string FieldOf(const JsonValue& value) {
  const std::string_view path = value.path();
  const std::string prefix = std::string(kBody) + ": ";
  return std::string(path.starts_with(prefix) ? path.substr(prefix.size()) : path);
}

// Calls read(field) where there is one; a value of another kind is the client's mistake.
template <typename Read>
void With(const JsonValue& root, std::string_view name, Read read) {
  const std::optional<JsonValue> value = root.Find(name);
  if (!value) return;
  try {
    read(*value);
  } catch (const Error& error) {
    throw ApiError(400, error.what(), FieldOf(*value));
  }
}

int64_t IntIn(const JsonValue& value, int64_t least, int64_t most) {
  const int64_t number = value.Int();
  if (number < least || number > most) {
    throw ApiError(400,
                   fmt::format("{} is {}; it can be {} to {}", FieldOf(value), number, least, most),
                   FieldOf(value));
  }
  return number;
}

[[noreturn]] void Unsupported(std::string_view field, std::string_view what) {
  throw ApiError(400, fmt::format("{}: {} is not supported", field, what), std::string(field),
                 "unsupported");
}

// vLLM's and others' fields that may say what holds anyway.
void RefuseUnlessNeutral(const JsonValue& root) {
  const auto is_neutral = [](const JsonValue& value, double neutral) {
    if (value.IsBool()) return !value.Bool();
    if (value.IsArray()) return value.Array().empty();
    if (value.IsString()) return value.String().empty();
    return !value.IsObject() && value.Number() == neutral;
  };
  constexpr std::pair<const char*, double> kFields[] = {
      {"min_tokens", 0},         {"bad_words", 0},      {"allowed_token_ids", 0},
      {"use_beam_search", 0},    {"length_penalty", 1}, {"typical_p", 1},
      {"prompt_logprobs", -1},   {"grammar", 0},        {"include_stop_str_in_output", 0},
      {"chat_template", 0},      {"audio", 0},          {"truncate_prompt_tokens", -1},
      {"web_search_options", 0},
  };
  for (const auto& [name, neutral] : kFields) {
    With(root, name, [&, name = name, neutral = neutral](const JsonValue& value) {
      if (!is_neutral(value, neutral)) Unsupported(name, "this");
    });
  }
  With(root, "modalities", [](const JsonValue& value) {
    for (const JsonValue& modality : value.Array()) {
      if (modality.String() != "text") Unsupported("modalities", "anything but text");
    }
  });
}

// What changes the answer and cannot be done must not be ignored.
void RefuseUnsupported(const JsonValue& root) {
  for (const char* name :
       {"guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"}) {
    With(root, name,
         [&](const JsonValue&) { Unsupported(name, "a constraint other than response_format"); });
  }
  for (const char* name : {"functions", "function_call"}) {
    With(root, name, [&](const JsonValue&) { Unsupported(name, "the old form of tools"); });
  }
  RefuseUnlessNeutral(root);
  With(root, "best_of", [&root](const JsonValue& value) {
    if (value.Int() != root.IntOr("n", 1)) Unsupported("best_of", "choosing among more than n");
  });
  With(root, "suffix", [](const JsonValue& value) {
    if (!value.String().empty()) Unsupported("suffix", "filling in");
  });
}

// {"id": bias, ...}, the ids as strings: JSON has no other keys.
void ReadBias(const JsonValue& value, std::vector<TokenBias>& bias) {
  for (const auto& [key, number] : value.Object()) {
    int32_t token = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (error != std::errc() || end != key.data() + key.size()) {
      throw ApiError(400, fmt::format("logit_bias: '{}' is not the id of a token", key),
                     "logit_bias");
    }
    bias.push_back({token, number.Number()});
    if (bias.size() > kMostBiases) {
      throw ApiError(400, fmt::format("logit_bias: {} tokens can have one", kMostBiases),
                     "logit_bias");
    }
  }
}

void ReadSampling(const JsonValue& root, SamplingParams& out) {
  With(root, "temperature", [&](const JsonValue& value) {
    out.temperature = value.Number();
    if (out.temperature > 0) out.temperature = std::max(out.temperature, kLeastTemperature);
  });
  With(root, "top_p", [&](const JsonValue& value) { out.top_p = value.Number(); });
  With(root, "min_p", [&](const JsonValue& value) { out.min_p = value.Number(); });
  // vLLM's clients say -1 for off.
  With(root, "top_k",
       [&](const JsonValue& value) { out.top_k = std::max<int64_t>(0, value.Int()); });
  With(root, "seed",
       [&](const JsonValue& value) { out.seed = static_cast<uint64_t>(value.Int()); });
  With(root, "frequency_penalty",
       [&](const JsonValue& value) { out.frequency_penalty = value.Number(); });
  With(root, "presence_penalty",
       [&](const JsonValue& value) { out.presence_penalty = value.Number(); });
  With(root, "repetition_penalty",
       [&](const JsonValue& value) { out.repetition_penalty = value.Number(); });
  With(root, "logit_bias", [&](const JsonValue& value) { ReadBias(value, out.logit_bias); });
  try {
    out.Validate();
  } catch (const Error& error) {
    const std::string message = error.what();
    throw ApiError(400, message, message.substr(0, message.find(':')));
  }
}

void ReadStops(const JsonValue& root, std::vector<std::string>& stops) {
  With(root, "stop", [&](const JsonValue& value) {
    if (value.IsString()) {
      stops.emplace_back(value.String());
    } else if (value.IsArray()) {
      for (const JsonValue& stop : value.Array()) stops.emplace_back(stop.String());
    } else {
      throw Error(value.path(), "is neither a text nor a list of texts");
    }
    std::erase(stops, std::string());
    if (stops.size() > kMostStops) {
      throw ApiError(400,
                     fmt::format("stop has {} strings; {} can be given", stops.size(), kMostStops),
                     "stop");
    }
  });
}

void ReadCommon(const JsonValue& root, const GenerationDefaults& defaults,
                std::optional<uint64_t> seed, ApiRequest& request) {
  RefuseUnsupported(root);
  With(root, "model", [&](const JsonValue& value) { request.model = value.String(); });
  With(root, "stream", [&](const JsonValue& value) { request.stream = value.Bool(); });
  With(root, "stream_options", [&](const JsonValue& value) {
    request.stream_usage = value.BoolOr("include_usage", false);
  });
  With(root, "n", [&](const JsonValue& value) { request.n = IntIn(value, 1, kMostChoices); });
  request.sampling = defaults.sampling;
  request.sampling.seed = seed ? *seed : std::random_device{}();
  request.has_seed = root.Find("seed").has_value();
  ReadSampling(root, request.sampling);
  ReadStops(root, request.stop);
  With(root, "stop_token_ids", [&](const JsonValue& value) {
    for (const JsonValue& id : value.Array())
      request.stop_ids.push_back(static_cast<int32_t>(IntIn(id, 0, INT32_MAX)));
  });
  With(root, "ignore_eos", [&](const JsonValue& value) { request.ignore_eos = value.Bool(); });
  With(root, "response_format",
       [&](const JsonValue& value) { request.format = ReadResponseFormat(value); });
  With(root, "user", [&](const JsonValue& value) { request.user = value.String(); });
}

void ReadMaxTokens(const JsonValue& root, const char* name, int64_t least, ApiRequest& request) {
  With(root, name,
       [&](const JsonValue& value) { request.max_tokens = IntIn(value, least, int64_t{1} << 40); });
}

PlainPrompt IdsOf(const std::vector<JsonValue>& ids) {
  PlainPrompt prompt{.is_text = false};
  for (const JsonValue& id : ids)
    prompt.ids.push_back(static_cast<int32_t>(IntIn(id, 0, INT32_MAX)));
  return prompt;
}

// A text, several, token ids, or several lists of them.
void ReadPrompts(const JsonValue& value, size_t most, std::vector<PlainPrompt>& prompts) {
  const std::string field = FieldOf(value);
  if (value.IsString()) {
    prompts.push_back({.text = std::string(value.String())});
    return;
  }
  if (!value.IsArray()) throw Error(value.path(), "is neither a text nor a list");
  const std::vector<JsonValue> items = value.Array();
  if (!items.empty() && items[0].IsInt()) {
    prompts.push_back(IdsOf(items));
    return;
  }
  if (items.empty() || items.size() > most) {
    throw ApiError(
        400, fmt::format("{} has {} texts; it can have 1 to {}", field, items.size(), most), field);
  }
  for (const JsonValue& item : items) {
    if (item.IsString()) {
      prompts.push_back({.text = std::string(item.String())});
    } else {
      prompts.push_back(IdsOf(item.Array()));
    }
  }
}

// Whether to think, and how long: DeepSeek's "thinking", Qwen's "enable_thinking" and
// "thinking_budget", vLLM's "thinking_token_budget", OpenAI's "reasoning_effort", in this order.
void ReadThinking(const JsonValue& root, ChatRequest& request) {
  With(root, "reasoning_effort", [&](const JsonValue& value) {
    constexpr std::pair<std::string_view, int64_t> kEfforts[] = {
        {"none", 0}, {"minimal", 0}, {"low", 1024}, {"medium", 8192}, {"high", -1}, {"xhigh", -1}};
    const auto effort =
        std::ranges::find(kEfforts, value.String(), &std::pair<std::string_view, int64_t>::first);
    if (effort == std::end(kEfforts)) {
      throw Error(value.path(), fmt::format("'{}' is no effort", value.String()),
                  "none, minimal, low, medium or high");
    }
    if (effort->second == 0) request.think = false;
    if (effort->second > 0) request.thinking_budget = effort->second;
  });
  for (const char* name : {"thinking_token_budget", "thinking_budget"}) {
    With(root, name, [&](const JsonValue& value) {
      request.thinking_budget = IntIn(value, 0, int64_t{1} << 40);
    });
  }
  With(root, "enable_thinking", [&](const JsonValue& value) { request.think = value.Bool(); });
  With(root, "thinking", [&](const JsonValue& value) {
    const std::string_view type = value.At("type").String();
    if (type != "enabled" && type != "disabled") {
      throw Error(value.path(), fmt::format("'{}' is no type", type), "enabled or disabled");
    }
    request.think = type == "enabled";
  });
  With(root, "chat_template_kwargs", [&](const JsonValue& value) {
    value.Object();
    request.variables = jinja::Data::FromJson(value);
    for (const char* name : {"thinking", "enable_thinking"}) {
      const jinja::Data* think = request.variables.Find(name);
      if (think != nullptr && think->kind == jinja::Data::Kind::kBool)
        request.think = think->boolean;
    }
  });
}

// The last message is the beginning of the answer: DeepSeek's "prefix", or vLLM's
// "continue_final_message".
void ReadBeginning(const JsonValue& root, const JsonValue& last, ChatRequest& request) {
  const bool goes_on = root.BoolOr("continue_final_message", false);
  if (!goes_on && !root.BoolOr("add_generation_prompt", true)) {
    Unsupported("add_generation_prompt", "a prompt without an answer's beginning");
  }
  if (!goes_on && !last.BoolOr("prefix", false)) return;
  if (last.At("role").String() != "assistant" || last.Find("tool_calls")) {
    throw Error(last.path(), "is not the beginning of an assistant's answer");
  }
  AnswerBeginning beginning;
  if (const auto content = last.Find("content")) beginning.content = content->String();
  if (const auto reasoning = last.Find("reasoning_content"))
    beginning.reasoning = std::string(reasoning->String());
  request.beginning = std::move(beginning);
  request.messages.items.pop_back();
}

}  // namespace

JsonDocument ParseBody(std::string_view body) {
  try {
    JsonDocument document(body, kBody);
    if (!document.root().IsObject()) throw ApiError(400, "the body is not a JSON object");
    return document;
  } catch (const Error& error) {
    throw ApiError(400, error.what());
  }
}

ChatRequest ParseChatRequest(std::string_view body, const GenerationDefaults& defaults,
                             std::optional<uint64_t> seed) {
  const JsonDocument document = ParseBody(body);
  const JsonValue& root = document.root();
  ChatRequest request;
  ReadCommon(root, defaults, seed, request);
  ReadMaxTokens(root, "max_tokens", 1, request);
  ReadMaxTokens(root, "max_completion_tokens", 1, request);
  With(root, "logprobs", [&](const JsonValue& value) { request.logprobs = value.Bool(); });
  With(root, "top_logprobs", [&](const JsonValue& value) {
    request.top_logprobs = IntIn(value, 0, kMostTopLogprobs);
    if (request.top_logprobs > 0 && !request.logprobs) {
      throw ApiError(400, "top_logprobs wants logprobs: true", "top_logprobs");
    }
  });
  ReadThinking(root, request);
  try {
    request.tools = ReadTools(root);
  } catch (const Error& error) {
    const std::string message = error.what();
    const auto of = [&](std::string_view field) {
      return message.starts_with(fmt::format("{}: {}", kBody, field));
    };
    throw ApiError(400, message,
                   of("tool_choice")           ? "tool_choice"
                   : of("parallel_tool_calls") ? "parallel_tool_calls"
                                               : "tools");
  }
  if (!root.Find("messages")) throw ApiError(400, "messages is missing", "messages");
  With(root, "messages", [&](const JsonValue& value) {
    request.messages = ConversationFromJson(value);
    if (request.messages.items.empty()) throw ApiError(400, "messages is empty", "messages");
    ReadBeginning(root, value.Array().back(), request);
  });
  return request;
}

CompletionRequest ParseCompletionRequest(std::string_view body, const GenerationDefaults& defaults,
                                         std::optional<uint64_t> seed) {
  const JsonDocument document = ParseBody(body);
  const JsonValue& root = document.root();
  CompletionRequest request;
  ReadCommon(root, defaults, seed, request);
  request.max_tokens = 16;  // as OpenAI's
  ReadMaxTokens(root, "max_tokens", 0, request);
  With(root, "echo", [&](const JsonValue& value) { request.echo = value.Bool(); });
  if (*request.max_tokens == 0 && !request.echo) {
    throw ApiError(400, "max_tokens: 0 without echo asks for nothing", "max_tokens");
  }
  With(root, "logprobs", [&](const JsonValue& value) {
    request.logprobs = true;
    request.top_logprobs = IntIn(value, 0, kMostTopLogprobs);
  });
  if (!root.Find("prompt")) throw ApiError(400, "prompt is missing", "prompt");
  With(root, "prompt",
       [&](const JsonValue& value) { ReadPrompts(value, kMostPrompts, request.prompts); });
  const int64_t choices = std::ssize(request.prompts) * request.n;
  if (choices > kMostInTotal) {
    throw ApiError(400,
                   fmt::format("{} prompts with n = {} are {} answers; a request can have {}",
                               request.prompts.size(), request.n, choices, kMostInTotal),
                   "n");
  }
  return request;
}

EmbeddingRequest ParseEmbeddingRequest(std::string_view body) {
  const JsonDocument document = ParseBody(body);
  const JsonValue& root = document.root();
  EmbeddingRequest request;
  request.max_tokens = 0;
  With(root, "model", [&](const JsonValue& value) { request.model = value.String(); });
  With(root, "user", [&](const JsonValue& value) { request.user = value.String(); });
  With(root, "dimensions", [](const JsonValue&) {
    Unsupported("dimensions", "an embedding of another size than the model's");
  });
  With(root, "encoding_format", [&](const JsonValue& value) {
    request.base64 = value.String() == "base64";
    if (!request.base64 && value.String() != "float") {
      throw Error(value.path(), fmt::format("'{}' is no encoding", value.String()),
                  "float or base64");
    }
  });
  if (!root.Find("input")) throw ApiError(400, "input is missing", "input");
  With(root, "input",
       [&](const JsonValue& value) { ReadPrompts(value, kMostInputs, request.inputs); });
  return request;
}

}  // namespace fathom
