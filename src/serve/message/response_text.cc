#include "serve/message/response_text.h"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>
#include <iterator>

namespace fathom {
namespace {

std::string_view Reason(int status) {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
  return {reason.data(), reason.size()};
}

}  // namespace

std::string ResponseHead(const WebResponse& response, const ResponseFraming& framing) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, Reason(response.status));
  const auto add = [&head](std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
  };
  add("Content-Type", response.type);
  for (const auto& [name, value] : response.headers) add(name, value);
  if (!framing.request_id.empty()) add("X-Request-Id", framing.request_id);
  if (framing.length) add("Content-Length", std::to_string(*framing.length));
  if (framing.chunked) add("Transfer-Encoding", "chunked");
  if (!framing.keep_alive) {
    add("Connection", "close");
  } else if (framing.version < 11) {
    add("Connection", "keep-alive");
  }
  return head + "\r\n";
}

std::string Chunk(std::string_view bytes) {
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}

}  // namespace fathom
