#include "serve/message/request_parser.h"

#include <fmt/format.h>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace fathom {

namespace beast = boost::beast;
namespace http = beast::http;
namespace {

// The shortest end of a body in chunks, "0\r\n\r\n". Beast's parser asserts that it is given as
// much once it has seen the last chunk's size.
constexpr size_t kLastChunkBytes = 5;

}  // namespace

struct RequestParser::State {
  uint32_t header_limit;
  size_t body_limit;
  http::request_parser<http::string_body> parser;

  const http::request<http::string_body>& request() const { return parser.get(); }

  Problem ProblemOf(const beast::error_code& error) const {
    if (error == http::error::header_limit) {
      return {431, fmt::format("headers are longer than {} bytes", header_limit)};
    }
    if (error == http::error::body_limit) {
      return {413, fmt::format("the body is longer than {} bytes", body_limit)};
    }
    return {400, fmt::format("this is not HTTP: {}", error.message())};
  }
};

RequestParser::RequestParser(uint32_t header_bytes, size_t body_bytes)
    : state_(std::make_unique<State>()) {
  state_->header_limit = header_bytes;
  state_->body_limit = body_bytes;
  state_->parser.header_limit(header_bytes);
  state_->parser.body_limit(body_bytes);
}

RequestParser::~RequestParser() = default;

size_t RequestParser::Take(std::string_view bytes) {
  const bool had_head = has_head();
  size_t taken = 0;
  while (taken < bytes.size() && !is_done() && !problem_ && has_head() == had_head) {
    const size_t left = bytes.size() - taken;
    const bool may_be_last = had_head && state_->parser.chunked() && bytes[taken] == '0';
    if (may_be_last && left < kLastChunkBytes) break;
    beast::error_code error;
    taken += state_->parser.put({bytes.data() + taken, left}, error);
    if (error == http::error::need_more) break;
    if (error) problem_ = state_->ProblemOf(error);
  }
  return taken;
}

bool RequestParser::has_head() const { return state_->parser.is_header_done(); }
bool RequestParser::is_done() const { return state_->parser.is_done(); }

WebRequest RequestParser::Head() const {
  const std::string_view target(state_->request().target().data(),
                                state_->request().target().size());
  const size_t question = target.find('?');
  WebRequest head;
  head.method = std::string(state_->request().method_string());
  head.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) head.query = std::string(target.substr(question + 1));
  for (const auto& field : state_->request()) {
    head.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  head.body_bytes = body_bytes().value_or(0);
  return head;
}

unsigned RequestParser::version() const { return state_->request().version(); }
bool RequestParser::wants_keep_alive() const { return state_->request().keep_alive(); }

bool RequestParser::has_expectation() const {
  return !state_->request()[http::field::expect].empty();
}

bool RequestParser::expects_continue() const {
  return beast::iequals(state_->request()[http::field::expect], "100-continue");
}

std::optional<uint64_t> RequestParser::body_bytes() const {
  const auto length = state_->parser.content_length();
  return length ? std::optional<uint64_t>(*length) : std::nullopt;
}

std::string RequestParser::TakeBody() { return std::move(state_->parser.get().body()); }

}  // namespace fathom
