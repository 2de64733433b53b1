#include "serve/openai/openai_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/openai/chat_generation.h"
#include "serve/openai/completion_generation.h"
#include "serve/openai/embedding_generation.h"
#include "serve/openai/request/api_error.h"
#include "serve/openai/request/api_request.h"
#include "serve/openai/request/responses_request.h"
#include "serve/openai/reserved_start.h"
#include "serve/openai/responses_generation.h"
#include "text/chat/prompt.h"
#include "text/chat/thinking_budget.h"
#include "text/grammar/grammar_constraint.h"
#include "text/special_tokens.h"
#include "text/utf8.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

WebResponse JsonResponse(const ordered_json& json) {
  return {.type = "application/json", .body = JsonText(json) + "\n"};
}

// Whether it makes the engine work.
bool Generates(const WebRequest& head) {
  return head.method == "POST" && head.path.starts_with("/v1/");
}

// What a handler throws, as the client is to see it.
template <typename Handler>
WebHandler Guarded(Handler handler) {
  return [handler = std::move(handler)](const WebRequest& request) -> WebResponse {
    try {
      return handler(request);
    } catch (const ApiError& error) {
      return error.Response();
    } catch (const AccessError& error) {
      return ApiError(error).Response();
    }
  };
}

// Whose share of the engine it takes, and whose prefixes it finds: the key's. Without keys, users
// are who they say they are, and share.
void AskFor(const ApiKey& key, GenerationRequest& choice) {
  if (key.id == 0) return;
  choice.user = fmt::format("key {}", key.id);
  if (!key.shares_cache) choice.cache_salt = choice.user;
}

}  // namespace

OpenAiApi::OpenAiApi(const ServedModel& model, const GenerationDefaults& defaults,
                     const ChatTemplate* chat, EngineService& engine, Accounts& accounts,
                     Admission& admission)
    : model_(model),
      defaults_(defaults),
      chat_(chat),
      engine_(engine),
      accounts_(accounts),
      admission_(admission),
      grammars_(*model.tokenizer) {}

void OpenAiApi::AddTo(WebRouter& router) {
  router.Add("POST", "/v1/chat/completions",
             Guarded([this](const WebRequest& request) { return Chat(request); }));
  router.Add("POST", "/v1/responses",
             Guarded([this](const WebRequest& request) { return Respond(request); }));
  router.Add("POST", "/v1/completions",
             Guarded([this](const WebRequest& request) { return Complete(request); }));
  router.Add("POST", "/v1/embeddings",
             Guarded([this](const WebRequest& request) { return Embed(request); }));
  router.Add("POST", "/tokenize",
             Guarded([this](const WebRequest& request) { return Tokenize(request); }));
  router.Add("POST", "/detokenize",
             Guarded([this](const WebRequest& request) { return Detokenize(request); }));
  router.Add("GET", "/tokenizer_info", [this](const WebRequest&) { return TokenizerInfo(); });
  router.Add("GET", "/v1/models", [this](const WebRequest&) {
    return JsonResponse({{"object", "list"}, {"data", {Model()}}});
  });
  router.Add("GET", "/v1/models/" + model_.name,
             [this](const WebRequest&) { return JsonResponse(Model()); });
  for (const char* path : {"/health", "/health/ready"}) {
    router.Add(
        "GET", path, [this](const WebRequest&) { return Health(/*ready=*/true); },
        WebAccess::kOpen);
  }
  router.Add(
      "GET", "/health/live", [this](const WebRequest&) { return Health(/*ready=*/false); },
      WebAccess::kOpen);
  router.SetErrorForm([](int status, std::string_view message) {
    return ApiError(status, std::string(message)).Response();
  });
  router.SetGuard([this](WebRequest& head, WebAccess access) { return Guard(head, access); });
}

std::optional<WebResponse> OpenAiApi::Guard(WebRequest& head, WebAccess access) const {
  if (access == WebAccess::kOpen) return std::nullopt;
  try {
    const KeyRole role = access == WebAccess::kAdmin ? KeyRole::kAdmin : KeyRole::kUser;
    head.caller = accounts_.keys().Authenticate(head.Header("Authorization"), role);
    if (Generates(head)) {
      accounts_.keys().CheckRoom(head.caller);
      head.place = admission_.Admit(head.caller, head.body_bytes);
    }
    return std::nullopt;
  } catch (const AccessError& error) {
    return ApiError(error).Response();
  }
}

void OpenAiApi::CheckModel(const std::string& name) const {
  if (name.empty() || name == model_.name) return;
  throw ApiError(404, fmt::format("there is no model '{}' here; it is '{}'", name, model_.name),
                 "model", "model_not_found");
}

std::vector<int32_t> OpenAiApi::Encode(const PlainPrompt& prompt) const {
  return prompt.is_text ? Encode(prompt.text) : prompt.ids;
}

std::vector<int32_t> OpenAiApi::Encode(const std::string& text) const {
  std::vector<int32_t> ids;
  if (defaults_.add_bos && defaults_.bos_id >= 0) ids.push_back(defaults_.bos_id);
  model_.tokenizer->Encode(text, {}, ids);
  return ids;
}

GenerationRequest OpenAiApi::EngineRequest(const ApiRequest& request, std::vector<int32_t> prompt,
                                           const char* field) const {
  const auto length = static_cast<int64_t>(prompt.size());
  const int64_t room = model_.max_length - length;
  if (prompt.empty()) throw ApiError(400, "the prompt has no tokens", field);
  if (room < request.max_tokens.value_or(1)) {
    const bool fits_alone = room > 0 && request.max_tokens;
    throw ApiError(
        400,
        fits_alone
            ? fmt::format("{} tokens of prompt + {} of answer are more than the context of {}: ask "
                          "for {} at most, or shorten the prompt",
                          length, *request.max_tokens, model_.max_length, room)
            : fmt::format("the prompt has {} tokens, and the context holds {}: shorten it", length,
                          model_.max_length),
        fits_alone ? "max_tokens" : field, "context_length_exceeded");
  }
  GenerationRequest generation{.prompt = std::move(prompt),
                               .sampling = request.sampling,
                               .max_tokens = request.max_tokens.value_or(room),
                               .top_logprobs = request.top_logprobs,
                               .user = request.user};
  if (!request.ignore_eos) generation.stop_ids = defaults_.stop_ids;
  generation.stop_ids.insert(generation.stop_ids.end(), request.stop_ids.begin(),
                             request.stop_ids.end());
  return generation;
}

void OpenAiApi::Constrain(const ApiRequest& request, const AnswerShape& shape,
                          std::vector<GenerationRequest>& choices) {
  if (shape.is_free()) return;
  const char* field =
      shape.format.kind != ResponseFormat::Kind::kText ? "response_format" : "tools";
  if (request.ignore_eos) {
    throw ApiError(400, fmt::format("ignore_eos and {} contradict each other", field),
                   "ignore_eos");
  }
  if (choices[0].stop_ids.empty()) {
    throw ApiError(400, "this model has no token that ends an answer, which this needs", field);
  }
  std::shared_ptr<grammar::TokenGrammar> tokens;
  try {
    tokens = grammars_.Of(shape);
  } catch (const Error& error) {
    throw ApiError(400, error.what(), field);
  }
  for (GenerationRequest& choice : choices) {
    choice.constraint = std::make_shared<grammar::GrammarConstraint>(tokens, choice.stop_ids);
  }
}

WebResponse OpenAiApi::Start(const WebRequest& http, std::vector<GenerationRequest> choices,
                             std::shared_ptr<Generation> generation) {
  BillRequest request{.id = generation->id(),
                      .key = http.caller,
                      .route = http.path,
                      .model = model_.name,
                      .prompt_tokens = generation->prompt_tokens()};
  for (const GenerationRequest& choice : choices) request.most_output += choice.max_tokens;
  Accounts::Opened opened = accounts_.Open(request);
  for (GenerationRequest& choice : choices) {
    AskFor(opened.key, choice);
    choice.arrival = http.arrival;
  }
  // What the guard has put there.
  auto place = std::static_pointer_cast<Admission::Place>(http.place);
  place->Set(request.prompt_tokens, std::ssize(choices));
  generation->Admit(std::move(opened.bill), std::move(place));
  const Bill& bill = generation->bill();
  const std::shared_ptr<WebAnswer> answer = generation->answer();
  const auto start =
      std::make_shared<ReservedStart>(engine_, std::move(choices), std::move(generation));
  accounts_.Reserve(bill, [start](const Refusal& refusal) { start->Go(refusal); });
  answer->OnGone([start] { start->GiveUp(); });
  return {.later = answer};
}

jinja::Text OpenAiApi::Render(const ChatRequest& request) const {
  if (chat_ == nullptr) {
    throw ApiError(400, "this model has no chat template; /v1/completions continues texts");
  }
  const bool tools = request.tools.choice != ToolRequest::Choice::kNone;
  if (tools && chat_->tool_call_form() == ToolCallForm::kNone) {
    throw ApiError(400, "how this model calls tools is not known", "tools", "unsupported");
  }
  try {
    ChatOptions options{.think = request.think, .variables = request.variables};
    if (!tools) return chat_->Render(request.messages, options);
    if (!chat_->shows_tools()) {
      return chat_->Render(
          WithToolsDescribed(request.messages, request.tools.tools, chat_->tool_call_form()),
          options);
    }
    options.tools = request.tools.data;
    return chat_->Render(request.messages, options);
  } catch (const Error& error) {
    throw ApiError(400, error.what(), "messages");
  }
}

AnswerShape OpenAiApi::ShapeOf(const ChatRequest& request, bool inside_thinking) const {
  AnswerShape shape{
      .format = request.format, .tools = request.tools, .form = chat_->tool_call_form()};
  if (inside_thinking) {
    shape.thinking = grammar::Thinking::kInside;
  } else if (request.think != false && !request.beginning &&
             model_.tokenizer->AddedTokenId(kThinkBegin)) {
    shape.thinking = grammar::Thinking::kMayBegin;
  }
  if (request.beginning && !request.beginning->content.empty() && !shape.is_free()) {
    throw ApiError(400, "an answer that has begun cannot be kept to a format or to calls",
                   "messages");
  }
  return shape;
}

OpenAiApi::ChatTurn OpenAiApi::Prepare(const ChatRequest& request) {
  CheckModel(request.model);
  jinja::Text text = Render(request);
  ChatTurn turn{.form = ToolCallForm::kNone};
  turn.inside_thinking =
      request.beginning ? BeginAnswer(*request.beginning, text) : EndsInsideThinking(text);
  if (request.tools.choice != ToolRequest::Choice::kNone) turn.form = chat_->tool_call_form();
  std::vector<int32_t> prompt = EncodePrompt(*model_.tokenizer, text);
  turn.prompt_tokens = std::ssize(prompt);
  GenerationRequest first = EngineRequest(request, std::move(prompt), "messages");
  for (const int32_t id : chat_->StopIds(*model_.tokenizer)) {
    if (!request.ignore_eos) first.stop_ids.push_back(id);
  }
  turn.choices.assign(static_cast<size_t>(request.n), first);
  for (size_t i = 0; i < turn.choices.size(); ++i) turn.choices[i].choice = i;
  Constrain(request, ShapeOf(request, turn.inside_thinking), turn.choices);
  for (GenerationRequest& choice : turn.choices) {
    if (!request.thinking_budget) break;
    choice.constraint =
        std::make_shared<ThinkingBudget>(*model_.tokenizer, turn.inside_thinking,
                                         *request.thinking_budget, std::move(choice.constraint));
  }
  return turn;
}

template <typename ItsGeneration, typename Request>
WebResponse OpenAiApi::StartTurn(const WebRequest& http, const Request& request) {
  ChatTurn turn = Prepare(request);
  return Start(http, std::move(turn.choices),
               std::make_shared<ItsGeneration>(model_, request, http.id, turn.prompt_tokens,
                                               turn.inside_thinking, turn.form));
}

WebResponse OpenAiApi::Chat(const WebRequest& http) {
  return StartTurn<ChatGeneration>(http, ParseChatRequest(http.body, defaults_, model_.seed));
}

WebResponse OpenAiApi::Respond(const WebRequest& http) {
  const ResponsesRequest request = ParseResponsesRequest(http.body, defaults_, model_.seed);
  try {
    return StartTurn<ResponsesGeneration>(http, request);
  } catch (const ApiError& error) {
    throw InTermsOfResponses(error);
  }
}

WebResponse OpenAiApi::Complete(const WebRequest& http) {
  const CompletionRequest request = ParseCompletionRequest(http.body, defaults_, model_.seed);
  CheckModel(request.model);
  std::vector<std::vector<int32_t>> prompts;
  std::vector<GenerationRequest> choices;
  for (const PlainPrompt& prompt : request.prompts) {
    prompts.push_back(Encode(prompt));
    GenerationRequest choice = EngineRequest(request, prompts.back(), "prompt");
    // The same prompt twice is no reason for the same answer twice, unless a seed says so.
    if (!request.has_seed) choice.sampling.seed += prompts.size() - 1;
    if (request.echo && request.logprobs) choice.score_from = 1;
    for (int64_t i = 0; i < request.n; ++i) {
      choice.choice = static_cast<uint64_t>(i);
      choices.push_back(choice);
    }
  }
  Constrain(request, {.format = request.format}, choices);
  return Start(http, std::move(choices),
               std::make_shared<CompletionGeneration>(model_, request, http.id, prompts));
}

WebResponse OpenAiApi::Embed(const WebRequest& http) {
  const EmbeddingRequest request = ParseEmbeddingRequest(http.body);
  CheckModel(request.model);
  std::vector<GenerationRequest> texts;
  int64_t tokens = 0;
  for (const PlainPrompt& input : request.inputs) {
    texts.push_back(EngineRequest(request, Encode(input), "input"));
    texts.back().embeds = true;
    tokens += std::ssize(texts.back().prompt);
  }
  return Start(http, std::move(texts),
               std::make_shared<EmbeddingGeneration>(model_, request, http.id, tokens));
}

ordered_json OpenAiApi::Model() const {
  const SamplingParams& sampling = defaults_.sampling;
  return {{"id", model_.name},
          {"object", "model"},
          {"created", model_.created},
          {"owned_by", "fathom"},
          {"max_model_len", model_.max_length},
          {"default_sampling",
           {{"temperature", sampling.temperature},
            {"top_p", sampling.top_p},
            {"top_k", sampling.top_k},
            {"min_p", sampling.min_p},
            {"repetition_penalty", sampling.repetition_penalty}}}};
}

WebResponse OpenAiApi::Tokenize(const WebRequest& http) const {
  const JsonDocument document = ParseBody(http.body);
  try {
    const JsonValue& root = document.root();
    std::vector<int32_t> ids;
    if (root.Find("messages")) {
      // As the same body is read to be answered.
      const ChatRequest request = ParseChatRequest(http.body, defaults_, model_.seed);
      jinja::Text text = Render(request);
      if (request.beginning) BeginAnswer(*request.beginning, text);
      ids = EncodePrompt(*model_.tokenizer, text);
    } else {
      const std::string text(root.At("prompt").String());
      ids = root.BoolOr("add_special_tokens", true) ? Encode(text) : model_.tokenizer->Encode(text);
    }
    return JsonResponse(
        {{"count", ids.size()}, {"max_model_len", model_.max_length}, {"tokens", ids}});
  } catch (const Error& error) {
    throw ApiError(400, error.what());
  }
}

WebResponse OpenAiApi::Detokenize(const WebRequest& http) const {
  const JsonDocument document = ParseBody(http.body);
  try {
    std::vector<int32_t> ids;
    for (const JsonValue& id : document.root().At("tokens").Array()) {
      if (id.Int() < 0 || id.Int() >= model_.tokenizer->vocab_size()) {
        throw Error(id.path(), fmt::format("{} is no token; there are {}", id.Int(),
                                           model_.tokenizer->vocab_size()));
      }
      ids.push_back(static_cast<int32_t>(id.Int()));
    }
    return JsonResponse({{"prompt", ReplaceInvalidUtf8(model_.tokenizer->Decode(ids))}});
  } catch (const Error& error) {
    throw ApiError(400, error.what());
  }
}

// As vLLM has it: what a client needs that renders conversations itself.
WebResponse OpenAiApi::TokenizerInfo() const {
  ordered_json info = {{"chat_template", nullptr}};
  if (chat_ != nullptr) {
    if (!chat_->text().empty()) info["chat_template"] = chat_->text();
    for (const auto& [name, content] : chat_->special_tokens()) info[name] = content;
  }
  info["model_max_length"] = model_.max_length;
  return JsonResponse(info);
}

WebResponse OpenAiApi::Health(bool ready) const {
  const EngineService::State state = engine_.state();
  const Ledger* ledger = accounts_.ledger();
  // What a restart of the server would not mend.
  const bool no_ledger = ready && ledger != nullptr && ledger->statistics().failing;
  const char* status = state.is_stuck() ? "stalled" : no_ledger ? "no ledger" : "ok";
  WebResponse response =
      JsonResponse({{"status", status}, {"running", state.running}, {"waiting", state.waiting}});
  if (state.is_stuck() || no_ledger) response.status = 503;
  return response;
}

}  // namespace fathom
