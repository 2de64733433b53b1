#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "serve/openai/request/api_error.h"
#include "serve/openai/request/api_request.h"

namespace fathom {

// POST /v1/responses
struct ResponsesRequest : ChatRequest {
  // What the answer repeats of the request: the fields of a Response, as a JSON object.
  std::string echo;
};

// A request is read as the one for a chat that asks the same: input items are messages,
// instructions the first of them. Throws ApiError (400) for what is wrong or not supported (what
// only a server that keeps responses could do, input other than text, tools other than functions).
ResponsesRequest ParseResponsesRequest(std::string_view body, const GenerationDefaults& defaults,
                                       std::optional<uint64_t> seed);

// What is wrong with that chat, said of the fields that it was read from.
ApiError InTermsOfResponses(const ApiError& error);

}  // namespace fathom
