#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/chat/chat_message.h"

namespace fathom {

// What a teacher wrote.
struct TeacherAnswer {
  std::string reasoning, content;
  std::string finish_reason;  // "stop": it ended itself; "length", ... as the teacher says it
  // The teacher's tokens; nothing where it does not say.
  std::optional<int64_t> prompt_tokens, completion_tokens;
};

// How the teacher was asked: with the seed and the number of the sample, what an answer is a
// function of.
struct TraceSampling {
  double temperature = 0, top_p = 1, min_p = 0;
  int64_t top_k = 0, max_tokens = 0;
  std::string think = "model";
  uint64_t seed = 0;

  bool operator==(const TraceSampling&) const = default;
};

// Where a trace is from.
struct Provenance {
  std::string teacher;  // the model: a path, or its name at the endpoint
  std::string host;     // of the endpoint, with its port if the url has one; empty: a local model
  std::string time;     // when the answer came, UTC: "2026-01-31T12:00:00Z"
  TraceSampling sampling;
  std::string licence;  // the note of the configuration
  std::string fathom;   // the version of the program that asked
};

// One answer to one question: a line of traces.jsonl.
struct Trace {
  std::string id;        // of question (by what it says) and sample: TraceJob::Id
  std::string question;  // the problem's id in its file
  int64_t sample = 0;
  std::vector<ChatMessage> messages;  // as they were asked
  TeacherAnswer answer;
  Provenance provenance;
};

// Without the line's end. What is not UTF-8 is replaced.
std::string TraceLine(const Trace& trace);
// Throws Error with the path of what is missing or wrong.
Trace ParseTrace(const JsonValue& line);

// Seconds since 1970 as Provenance has them.
std::string UtcTime(int64_t seconds);

}  // namespace fathom
