#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "hub/http_client.h"
#include "posttrain/distill/questions.h"
#include "posttrain/distill/trace.h"

namespace fathom {

// What a chat completion is asked with.
struct ChatEndpoint {
  std::string url;    // of the API: ".../v1"
  std::string model;  // the name that it has there
  std::string key;    // never told to anybody else; empty: none
  TraceSampling sampling;
  bool send_seed = true;
};

// The body of POST URL/chat/completions for a job. What is at its default is left out, because some
// endpoints refuse what they do not know: top_k 0, min_p 0, think "model".
std::string ChatRequestBody(const ChatEndpoint& endpoint, const TraceJob& job);

// An answer's length is bounded: what is longer is no answer.
inline constexpr size_t kMostReplyBytes = size_t{32} << 20;

// What came of asking once.
struct ChatOutcome {
  enum class Kind {
    kAnswer,
    kRetry,    // another try may do better: no connection, 429, 5xx, an answer that is none
    kRefused,  // this request never will: 400, 413, 422, ...
    kStop,     // no request will: 401, 402, 403, 404, a redirect, ...
  };
  Kind kind = Kind::kRetry;
  TeacherAnswer answer;  // of kAnswer
  std::string why;       // of the others, in words, without the key
  std::optional<double> retry_after_seconds;
};

ChatOutcome ReadReply(const ChatEndpoint& endpoint, const HttpReply& reply);

// The host of a url, with its port if there is one.
std::string HostOf(std::string_view url);

}  // namespace fathom
