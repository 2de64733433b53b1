#pragma once

#include <memory>

#include "posttrain/distill/chat_endpoint.h"
#include "posttrain/distill/request_pace.h"
#include "posttrain/distill/teacher.h"

namespace fathom {

struct EndpointOptions {
  ChatEndpoint endpoint;
  PaceOptions pace;
  int64_t at_a_time = 8;         // requests under way
  double timeout_seconds = 600;  // for one answer
  // Tries at one answer, after which it is refused.
  int64_t attempts = 8;
  // Failures in a row, of whatever requests, after which the endpoint is lost (RequestPace says
  // what is in a row); as many refusals in a row likewise.
  int64_t give_up_after = 10;
};

// An endpoint that asks to be left alone for longer is lost.
inline constexpr double kLongestRetryAfterSeconds = 3600;

// Asks an OpenAI-compatible endpoint, several requests at a time, within its limits.
std::unique_ptr<Teacher> MakeEndpointTeacher(EndpointOptions options);

}  // namespace fathom
