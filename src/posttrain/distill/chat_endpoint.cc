#include "posttrain/distill/chat_endpoint.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "text/chat/answer_reader.h"
#include "text/special_tokens.h"
#include "text/utf8.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

// Of what a server says about an error, in a message.
constexpr size_t kMostWords = 300;

// One line, short, without the key: some servers repeat what they were sent.
std::string Shown(std::string text, const std::string& key) {
  if (!key.empty()) {
    for (size_t at; (at = text.find(key)) != std::string::npos;)
      text.replace(at, key.size(), "***");
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) c = ' ';
  }
  if (text.size() > kMostWords) text = text.substr(0, kMostWords) + "...";
  return ReplaceInvalidUtf8(text);
}

// {"error": {"message": TEXT}}, {"error": TEXT}, {"message": TEXT}, or what else there is.
std::string ErrorMessage(const std::string& body) {
  try {
    const JsonDocument document(body, "answer");
    std::optional<JsonValue> error = document.root().Find("error");
    if (error && error->IsString()) return std::string(error->String());
    const std::optional<JsonValue> message =
        error ? error->Find("message") : document.root().Find("message");
    if (message && message->IsString()) return std::string(message->String());
  } catch (const Error&) {
    // Not JSON, or not as it is usual: shown as it is.
  }
  return body;
}

// Endpoints that do not part the thoughts leave the marks in the text; where the prompt opened
// <think>, only the second one.
void PartThoughts(TeacherAnswer& answer) {
  if (!answer.reasoning.empty()) return;
  const std::string text = std::exchange(answer.content, {});
  const bool opened =
      text.find(kThinkBegin) == std::string::npos && text.find(kThinkEnd) != std::string::npos;
  AnswerReader reader(opened, ToolCallForm::kNone, /*several_calls=*/false);
  for (const AnswerReader::News& news : {reader.Push(text), reader.Finish()}) {
    answer.reasoning += news.reasoning;
    answer.content += news.content;
  }
}

std::string TextOf(const JsonValue& message, std::string_view key) {
  const auto value = message.Find(key);
  return value ? std::string(value->String()) : std::string();
}

TeacherAnswer ReadCompletion(const std::string& body) {
  const JsonDocument document(body, "answer");
  const std::vector<JsonValue> choices = document.root().At("choices").Array();
  if (choices.empty()) throw Error("answer: choices", "is empty");
  const JsonValue message = choices.front().At("message");
  TeacherAnswer answer{.content = TextOf(message, "content"),
                       .finish_reason = std::string(choices.front().At("finish_reason").String())};
  // DeepSeek's name, and the one that other servers have taken to.
  answer.reasoning = TextOf(message, "reasoning_content");
  if (answer.reasoning.empty()) answer.reasoning = TextOf(message, "reasoning");
  if (answer.content.empty() && answer.reasoning.empty() && answer.finish_reason == "stop")
    throw Error("answer: choices[0].message", "has no text");
  PartThoughts(answer);
  if (const auto usage = document.root().Find("usage")) {
    answer.prompt_tokens = usage->At("prompt_tokens").Int();
    answer.completion_tokens = usage->At("completion_tokens").Int();
  }
  return answer;
}

ChatOutcome::Kind KindOf(int status) {
  switch (status) {
    case 401:
    case 402:
    case 403:
    case 404:
    case 405:
      return ChatOutcome::Kind::kStop;
    case 408:
    case 409:
    case 425:
    case 429:
      return ChatOutcome::Kind::kRetry;
    default:
      break;
  }
  if (status >= 500) return ChatOutcome::Kind::kRetry;
  if (status >= 400) return ChatOutcome::Kind::kRefused;
  return ChatOutcome::Kind::kStop;
}

}  // namespace

std::string ChatRequestBody(const ChatEndpoint& endpoint, const TraceJob& job) {
  const TraceSampling& sampling = endpoint.sampling;
  ordered_json messages = ordered_json::array();
  for (const ChatMessage& message : job.question->messages)
    messages.push_back({{"role", message.role}, {"content", message.content}});
  ordered_json body = {{"model", endpoint.model},
                       {"messages", std::move(messages)},
                       {"max_tokens", sampling.max_tokens},
                       {"temperature", sampling.temperature},
                       {"top_p", sampling.top_p}};
  if (sampling.top_k > 0) body["top_k"] = sampling.top_k;
  if (sampling.min_p > 0) body["min_p"] = sampling.min_p;
  if (endpoint.send_seed) body["seed"] = job.seed;
  if (sampling.think != "model")
    body["thinking"] = {{"type", sampling.think == "on" ? "enabled" : "disabled"}};
  return body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ChatOutcome ReadReply(const ChatEndpoint& endpoint, const HttpReply& reply) {
  ChatOutcome outcome;
  outcome.retry_after_seconds = reply.head.retry_after_seconds;
  const auto because = [&](const std::string& why) { outcome.why = Shown(why, endpoint.key); };
  if (reply.too_large) {
    because(fmt::format("an answer of more than {} MiB", kMostReplyBytes >> 20));
    return outcome;
  }
  if (!reply.head.failure.empty()) {
    because(reply.head.failure);
    return outcome;
  }
  if (reply.head.status / 100 != 2) {
    outcome.kind = KindOf(reply.head.status);
    const std::string message = ErrorMessage(reply.body);
    because(
        fmt::format("HTTP status {}{}{}", reply.head.status, message.empty() ? "" : ": ", message));
    return outcome;
  }
  try {
    outcome.answer = ReadCompletion(reply.body);
    outcome.kind = ChatOutcome::Kind::kAnswer;
  } catch (const Error& error) {
    because(fmt::format("an answer that is no chat completion ({})", error.what()));
  }
  return outcome;
}

std::string HostOf(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  return std::string(url.substr(0, url.find('/')));
}

}  // namespace fathom
