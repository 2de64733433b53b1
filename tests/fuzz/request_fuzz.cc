// Bytes that come to the server's port: read as HTTP, in one piece and byte by byte, which have to
// agree; what is a request is then read as one for a chat and one for a completion.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "serve/message/request_parser.h"
#include "serve/openai/request/api_error.h"
#include "serve/openai/request/api_request.h"
#include "serve/openai/request/responses_request.h"

namespace fathom {
namespace {

constexpr uint32_t kHeaderBytes = 4096;
constexpr size_t kBodyBytes = 1 << 16;

struct Outcome {
  int problem = 0;
  bool done = false;
  WebRequest head;
  std::string body;
};

Outcome Read(std::string_view bytes, size_t piece) {
  RequestParser parser(kHeaderBytes, kBodyBytes);
  std::string waiting;
  for (size_t at = 0; at < bytes.size() && !parser.is_done() && !parser.problem(); at += piece) {
    waiting += bytes.substr(at, piece);
    size_t taken;
    do {
      taken = parser.is_done() || parser.problem() ? 0 : parser.Take(waiting);
      FATHOM_CHECK(taken <= waiting.size());
      waiting.erase(0, taken);
    } while (taken > 0 && !waiting.empty());
  }
  Outcome outcome;
  outcome.done = parser.is_done();
  if (parser.problem()) outcome.problem = parser.problem()->status;
  if (parser.has_head()) outcome.head = parser.Head();
  if (parser.is_done()) outcome.body = parser.TakeBody();
  return outcome;
}

template <typename Parse>
void Try(Parse parse, std::string_view body) {
  try {
    parse(body, GenerationDefaults(), 1);
  } catch (const ApiError&) {
  } catch (const Error&) {
  }
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const fathom::Outcome whole = fathom::Read(input, input.size() + 1);
  const fathom::Outcome pieces = fathom::Read(input, 1);
  FATHOM_CHECK(whole.done == pieces.done && whole.body == pieces.body);
  FATHOM_CHECK(!whole.done || whole.head.headers == pieces.head.headers);
  // Without HTTP around it, too: the way to a body is long for a fuzzer.
  const std::string_view body = whole.done ? std::string_view(whole.body) : input;
  fathom::Try(fathom::ParseChatRequest, body);
  fathom::Try(fathom::ParseCompletionRequest, body);
  fathom::Try(fathom::ParseResponsesRequest, body);
  fathom::Try([](std::string_view text, auto&&...) { fathom::ParseEmbeddingRequest(text); }, body);
  return 0;
}
