#include "posttrain/distill/trace.h"

#include <fmt/chrono.h>

#include <nlohmann/json.hpp>

namespace fathom {

using nlohmann::ordered_json;

std::string TraceLine(const Trace& trace) {
  const auto count = [](const std::optional<int64_t>& value) {
    return value ? ordered_json(*value) : ordered_json();
  };
  ordered_json messages = ordered_json::array();
  for (const ChatMessage& message : trace.messages) {
    ordered_json json = {{"role", message.role}, {"content", message.content}};
    if (message.reasoning) json["reasoning_content"] = *message.reasoning;
    messages.push_back(std::move(json));
  }
  const TeacherAnswer& answer = trace.answer;
  const Provenance& provenance = trace.provenance;
  const TraceSampling& sampling = provenance.sampling;
  const ordered_json json = {{"id", trace.id},
                             {"question", trace.question},
                             {"sample", trace.sample},
                             {"messages", std::move(messages)},
                             {"reasoning_content", answer.reasoning},
                             {"content", answer.content},
                             {"finish_reason", answer.finish_reason},
                             {"prompt_tokens", count(answer.prompt_tokens)},
                             {"completion_tokens", count(answer.completion_tokens)},
                             {"provenance",
                              {{"teacher", provenance.teacher},
                               {"host", provenance.host},
                               {"time", provenance.time},
                               {"sampling",
                                {{"temperature", sampling.temperature},
                                 {"top_p", sampling.top_p},
                                 {"top_k", sampling.top_k},
                                 {"min_p", sampling.min_p},
                                 {"max_tokens", sampling.max_tokens},
                                 {"think", sampling.think},
                                 {"seed", sampling.seed}}},
                               {"licence", provenance.licence},
                               {"fathom", provenance.fathom}}}};
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Trace ParseTrace(const JsonValue& line) {
  const auto text = [](const JsonValue& of, std::string_view key) {
    return std::string(of.At(key).String());
  };
  const auto count = [&](std::string_view key) -> std::optional<int64_t> {
    const auto value = line.Find(key);
    return value ? std::optional(value->Int()) : std::nullopt;
  };
  Trace trace{.id = text(line, "id"),
              .question = text(line, "question"),
              .sample = line.At("sample").Int()};
  for (const JsonValue& message : line.At("messages").Array()) {
    ChatMessage& read = trace.messages.emplace_back();
    read.role = text(message, "role");
    read.content = text(message, "content");
    if (const auto thoughts = message.Find("reasoning_content"))
      read.reasoning = thoughts->String();
  }
  trace.answer = {.reasoning = text(line, "reasoning_content"),
                  .content = text(line, "content"),
                  .finish_reason = text(line, "finish_reason"),
                  .prompt_tokens = count("prompt_tokens"),
                  .completion_tokens = count("completion_tokens")};
  const JsonValue provenance = line.At("provenance");
  const JsonValue sampling = provenance.At("sampling");
  trace.provenance = {.teacher = text(provenance, "teacher"),
                      .host = text(provenance, "host"),
                      .time = text(provenance, "time"),
                      .sampling = {.temperature = sampling.At("temperature").Number(),
                                   .top_p = sampling.At("top_p").Number(),
                                   .min_p = sampling.At("min_p").Number(),
                                   .top_k = sampling.At("top_k").Int(),
                                   .max_tokens = sampling.At("max_tokens").Int(),
                                   .think = text(sampling, "think"),
                                   .seed = static_cast<uint64_t>(sampling.At("seed").Int())},
                      .licence = text(provenance, "licence"),
                      .fathom = text(provenance, "fathom")};
  return trace;
}

std::string UtcTime(int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

}  // namespace fathom
