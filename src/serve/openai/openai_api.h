#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "infer/sampling/generation_defaults.h"
#include "serve/http/router.h"
#include "serve/openai/answer_grammars.h"
#include "serve/openai/engine_service.h"
#include "serve/openai/generation.h"
#include "serve/openai/request/api_request.h"
#include "text/chat/chat_template.h"

namespace fathom {

// The OpenAI-compatible API over one model: /v1/chat/completions, /v1/responses, /v1/completions,
// /v1/embeddings, /v1/models, /tokenize, /detokenize, /tokenizer_info and /health. Handlers run on
// the web server's workers.
class OpenAiApi {
 public:
  // All of them have to outlive it. chat: null when the model has no chat template.
  OpenAiApi(const ServedModel& model, const GenerationDefaults& defaults, const ChatTemplate* chat,
            EngineService& engine, Accounts& accounts, Admission& admission);

  // With a guard that asks for keys.
  void AddTo(WebRouter& router);

 private:
  WebResponse Chat(const WebRequest& request);
  WebResponse Respond(const WebRequest& request);
  WebResponse Complete(const WebRequest& request);
  WebResponse Embed(const WebRequest& request);
  nlohmann::ordered_json Model() const;
  WebResponse Tokenize(const WebRequest& request) const;
  WebResponse Detokenize(const WebRequest& request) const;
  WebResponse TokenizerInfo() const;
  // Whether the engine works; ready: and whether requests can be taken.
  WebResponse Health(bool ready) const;

  // ApiError (404) unless it is this model, or none was named.
  void CheckModel(const std::string& name) const;
  std::vector<int32_t> Encode(const std::string& text) const;
  std::vector<int32_t> Encode(const PlainPrompt& prompt) const;
  // Keeps each choice to what an answer has to look like; ApiError (400) when that cannot be.
  void Constrain(const ApiRequest& request, const AnswerShape& shape,
                 std::vector<GenerationRequest>& choices);
  // The prompt of a conversation; ApiError (400) for messages that the template refuses.
  jinja::Text Render(const ChatRequest& request) const;
  // What the engine is asked for a conversation.
  struct ChatTurn {
    std::vector<GenerationRequest> choices;
    int64_t prompt_tokens;
    bool inside_thinking;  // the prompt has opened the thoughts
    ToolCallForm form;     // of calls; kNone: it may call nothing
  };
  ChatTurn Prepare(const ChatRequest& request);
  // Its answer has the form of a class.
  template <typename ItsGeneration, typename Request>
  WebResponse StartTurn(const WebRequest& http, const Request& request);
  // How the answer has to begin and look.
  AnswerShape ShapeOf(const ChatRequest& request, bool inside_thinking) const;
  // What the engine is asked for one choice; ApiError (400) when it does not fit the context.
  // field: the prompt's, for errors.
  GenerationRequest EngineRequest(const ApiRequest& request, std::vector<int32_t> prompt,
                                  const char* field) const;
  WebResponse Start(const WebRequest& http, std::vector<GenerationRequest> choices,
                    std::shared_ptr<Generation> generation);
  // What can be said of a request before its body is there.
  std::optional<WebResponse> Guard(WebRequest& head, WebAccess access) const;

  const ServedModel& model_;
  const GenerationDefaults& defaults_;
  const ChatTemplate* chat_;
  EngineService& engine_;
  Accounts& accounts_;
  Admission& admission_;
  AnswerGrammars grammars_;
};

}  // namespace fathom
