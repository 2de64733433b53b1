#include "serve/openai/choice_generation.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace fathom {
namespace {

using nlohmann::ordered_json;

std::string Event(std::string_view json) { return fmt::format("data: {}\n\n", json); }

}  // namespace

ordered_json ChoiceGeneration::Frame(const char* object) const {
  return {{"id", id()}, {"object", object}, {"created", created()}, {"model", model_.name}};
}

ordered_json ChoiceGeneration::Usage() const {
  ordered_json usage = {{"prompt_tokens", prompt_tokens()},
                        {"completion_tokens", tokens().output},
                        {"total_tokens", prompt_tokens() + tokens().output},
                        {"prompt_tokens_details", {{"cached_tokens", tokens().cache_hit}}},
                        {"completion_tokens_details", {{"reasoning_tokens", reasoning_tokens()}}},
                        {"prompt_cache_hit_tokens", tokens().cache_hit},
                        {"prompt_cache_miss_tokens", tokens().cache_miss}};
  AddCost(usage);
  return usage;
}

void ChoiceGeneration::SendChunk(ordered_json choice) {
  ordered_json json = Frame(ChunkObject());
  json["choices"] = ordered_json::array({std::move(choice)});
  if (request_.stream_usage) json["usage"] = nullptr;
  SendEvents(Event(JsonText(json)));
}

std::string ChoiceGeneration::WholeAnswer() {
  ordered_json json = Frame(WholeObject());
  json["choices"] = WholeChoices();
  json["usage"] = Usage();
  return JsonText(json);
}

std::string ChoiceGeneration::LastEvents() {
  std::string events;
  if (request_.stream_usage) {
    ordered_json json = Frame(ChunkObject());
    json["choices"] = ordered_json::array();
    json["usage"] = Usage();
    events = Event(JsonText(json));
  }
  return events + Event("[DONE]");
}

std::string ChoiceGeneration::FailedEvents(const ApiError& error) { return Event(error.Json()); }

}  // namespace fathom
