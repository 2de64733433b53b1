#include "serve/openai/responses_generation.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "serve/http/request_id.h"

namespace fathom {

ResponsesGeneration::ResponsesGeneration(const ServedModel& model, const ResponsesRequest& request,
                                         const std::string& request_id, int64_t prompt_tokens,
                                         bool inside_thinking, ToolCallForm form)
    : Generation(model, request, "resp_" + request_id, 1, prompt_tokens),
      request_id_(request_id),
      echo_(Json::parse(request.echo)),
      reader_(inside_thinking, form, request.tools.several) {}

void ResponsesGeneration::OnText(size_t number, std::string_view text) {
  Choice& choice = choices_[number];
  if (sequence_number_ == 0 && request_.stream) {
    Send("response.created", {{"response", Response("in_progress")}});
    Send("response.in_progress", {{"response", Response("in_progress")}});
  }
  if (reader_.thinking()) ++reasoning_tokens_;
  AnswerReader::News news = ReadAnswer(choice, reader_, text);
  if (!news.reasoning.empty()) Write("reasoning", std::move(news.reasoning));
  if (!news.content.empty()) Write("message", std::move(news.content));
  for (const ToolCall& call : news.calls) Call(call);
  if (choice.finish == nullptr) return;
  if (output_.empty()) Begin("message");  // of an answer without text, too, clients read one
  if (is_open()) End();
}

void ResponsesGeneration::Begin(const char* type) {
  const bool message = std::string_view(type) == "message";
  Json part = {{"type", message ? "output_text" : "reasoning_text"}, {"text", ""}};
  if (message) part.update({{"annotations", Json::array()}, {"logprobs", Json::array()}});
  Json begun = {
      {"id", fmt::format("{}_{}_{}", message ? "msg" : "rs", request_id_, output_.size())},
      {"type", type},
      {"status", "in_progress"}};
  if (message) {
    begun["role"] = "assistant";
  } else {
    begun["summary"] = Json::array();
  }
  begun["content"] = Json::array();
  output_.push_back(std::move(begun));
  is_open_ = true;
  Send("response.output_item.added", {{"output_index", output_.size() - 1}, {"item", item()}});
  Json fields = Place();
  fields["part"] = part;
  Send("response.content_part.added", std::move(fields));
  item()["content"].push_back(std::move(part));
}

void ResponsesGeneration::Write(const char* type, std::string text) {
  if (is_open() && item()["type"] != type) End();
  if (!is_open()) Begin(type);
  Json& part = item()["content"][0];
  part["text"].get_ref<std::string&>() += text;
  Json fields = Place();
  fields["delta"] = std::move(text);
  if (is_message()) {
    Json logprobs = LogprobsJson(std::exchange(choices_[0].logprobs, {}));
    for (const Json& token : logprobs) part["logprobs"].push_back(token);
    fields["logprobs"] = std::move(logprobs);
  } else {
    choices_[0].logprobs.clear();
  }
  Send(is_message() ? "response.output_text.delta" : "response.reasoning_text.delta",
       std::move(fields));
}

void ResponsesGeneration::End() {
  item()["status"] = Status();
  const Json& part = item()["content"][0];
  Json text = Place(), whole = text;
  text["text"] = part["text"];
  if (is_message()) text["logprobs"] = part["logprobs"];
  Send(is_message() ? "response.output_text.done" : "response.reasoning_text.done",
       std::move(text));
  whole["part"] = part;
  Send("response.content_part.done", std::move(whole));
  Send("response.output_item.done", {{"output_index", output_.size() - 1}, {"item", item()}});
  is_open_ = false;
}

// Told when it is whole.
void ResponsesGeneration::Call(const ToolCall& call) {
  if (is_open()) End();
  const size_t index = output_.size();
  const std::string id = fmt::format("fc_{}_{}", request_id_, index);
  const Json place = {{"item_id", id}, {"output_index", index}};
  Json begun = {{"id", id},
                {"type", "function_call"},
                {"status", "in_progress"},
                {"call_id", "call_" + NewRequestId()},
                {"name", call.name},
                {"arguments", ""}};
  Send("response.output_item.added", {{"output_index", index}, {"item", begun}});
  Json delta = place, done = place;
  delta["delta"] = call.arguments;
  Send("response.function_call_arguments.delta", std::move(delta));
  done["name"] = call.name;
  done["arguments"] = call.arguments;
  Send("response.function_call_arguments.done", std::move(done));
  begun["arguments"] = call.arguments;
  begun["status"] = "completed";
  Send("response.output_item.done", {{"output_index", index}, {"item", begun}});
  output_.push_back(std::move(begun));
}

const char* ResponsesGeneration::Status() const {
  const char* finish = choices_[0].finish;
  return finish != nullptr && std::string_view(finish) == "length" ? "incomplete" : "completed";
}

ResponsesGeneration::Json ResponsesGeneration::Response(const char* status) const {
  const bool is_over = std::string_view(status) != "in_progress";
  const bool cut = std::string_view(status) == "incomplete";
  Json json = {{"id", id()},
               {"object", "response"},
               {"created_at", created()},
               {"status", status},
               {"completed_at", is_over ? Json(std::time(nullptr)) : Json(nullptr)},
               {"error", nullptr},
               {"incomplete_details", cut ? Json{{"reason", "max_output_tokens"}} : Json(nullptr)},
               {"model", model_.name},
               {"output", is_over ? output_ : Json::array()}};
  json.update(echo_);
  json["usage"] = nullptr;
  if (!is_over) return json;
  json["usage"] = {{"input_tokens", prompt_tokens()},
                   {"input_tokens_details", {{"cached_tokens", tokens().cache_hit}}},
                   {"output_tokens", tokens().output},
                   {"output_tokens_details", {{"reasoning_tokens", reasoning_tokens()}}},
                   {"total_tokens", prompt_tokens() + tokens().output}};
  AddCost(json["usage"]);
  return json;
}

std::string ResponsesGeneration::Event(const char* type, Json fields) {
  Json json = {{"type", type}, {"sequence_number", sequence_number_++}};
  json.update(fields);
  return fmt::format("event: {}\ndata: {}\n\n", type, JsonText(json));
}

void ResponsesGeneration::Send(const char* type, Json fields) {
  if (request_.stream) SendEvents(Event(type, std::move(fields)));
}

ResponsesGeneration::Json ResponsesGeneration::Place() const {
  return {{"item_id", output_.back()["id"]},
          {"output_index", output_.size() - 1},
          {"content_index", 0}};
}

std::string ResponsesGeneration::WholeAnswer() { return JsonText(Response(Status())); }

std::string ResponsesGeneration::LastEvents() {
  const char* status = Status();
  return Event(
      status == std::string_view("incomplete") ? "response.incomplete" : "response.completed",
      {{"response", Response(status)}});
}

std::string ResponsesGeneration::FailedEvents(const ApiError& error) {
  Json response = Response("failed");
  response["error"] = {{"code", "server_error"}, {"message", error.what()}};
  return Event("response.failed", {{"response", std::move(response)}});
}

}  // namespace fathom
