#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "infer/sampling/generation_defaults.h"
#include "infer/sampling/sampling_params.h"
#include "serve/openai/request/response_format.h"
#include "serve/openai/request/tool_request.h"
#include "text/chat/prompt.h"
#include "text/jinja/data.h"

namespace fathom {

// What requests for a generation have in common, as OpenAI's API and vLLM name it.
struct ApiRequest {
  std::string model;
  bool stream = false;
  bool stream_usage = false;  // stream_options.include_usage
  int64_t n = 1;
  std::optional<int64_t> max_tokens;  // nothing: what the context holds
  SamplingParams sampling;
  bool has_seed = false;  // the client gave sampling.seed
  std::vector<std::string> stop;
  std::vector<int32_t> stop_ids{};  // besides the model's
  bool ignore_eos = false;
  ResponseFormat format;
  bool logprobs = false;
  int64_t top_logprobs = 0;
  std::string user;
  int priority = 0;
};

// POST /v1/chat/completions
struct ChatRequest : ApiRequest {
  jinja::Data messages;
  ToolRequest tools;
  jinja::Data variables;                     // chat_template_kwargs
  std::optional<bool> think;                 // whether to; nothing: as the template has it
  std::optional<int64_t> thinking_budget;    // tokens of thoughts; nothing: any number
  std::optional<AnswerBeginning> beginning;  // of the answer: messages end before it
};

// What a model is given as it is: a text, or token ids.
struct PlainPrompt {
  std::string text;
  std::vector<int32_t> ids;
  bool is_text = true;
};

// POST /v1/completions
struct CompletionRequest : ApiRequest {
  std::vector<PlainPrompt> prompts;
  bool echo = false;
};

// POST /v1/embeddings
struct EmbeddingRequest : ApiRequest {
  std::vector<PlainPrompt> inputs;
  bool base64 = false;  // encoding_format
};

// All throw ApiError (400) for what is wrong or not supported, naming the field. What a field
// leaves out comes from the model's generation defaults; a missing seed is `seed`, or drawn.
// Fields that are unknown are ignored, as OpenAI's clients send many.
ChatRequest ParseChatRequest(std::string_view body, const GenerationDefaults& defaults,
                             std::optional<uint64_t> seed);
CompletionRequest ParseCompletionRequest(std::string_view body, const GenerationDefaults& defaults,
                                         std::optional<uint64_t> seed);
EmbeddingRequest ParseEmbeddingRequest(std::string_view body);

// The body as a JSON object; ApiError (400) when it is none.
JsonDocument ParseBody(std::string_view body);

}  // namespace fathom
