#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "serve/message/message.h"

namespace fathom {

// How the bytes of an answer go over the wire.
struct ResponseFraming {
  unsigned version = 11;  // of the request: 10, 11
  bool keep_alive = true;
  bool chunked = false;
  std::optional<size_t> length;  // of the body
  std::string_view request_id = {};
};

// Status line and headers of an answer, with the empty line behind them (RFC 9112).
std::string ResponseHead(const WebResponse& response, const ResponseFraming& framing);

// A part of a body that is chunked; of no bytes: its end.
std::string Chunk(std::string_view bytes);

// What a client that waits with its body is told.
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace fathom
