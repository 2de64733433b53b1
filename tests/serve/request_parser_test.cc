#include "serve/message/request_parser.h"

#include <gtest/gtest.h>

#include "serve/message/response_text.h"

namespace fathom {
namespace {

// Feeds text in pieces of so many bytes; returns what is left of it.
std::string Feed(RequestParser& parser, std::string_view text, size_t piece) {
  std::string waiting;
  for (; !text.empty() && !parser.is_done() && !parser.problem();
       text.remove_prefix(std::min(piece, text.size()))) {
    waiting += text.substr(0, piece);
    const bool had_head = parser.has_head();
    waiting.erase(0, parser.Take(waiting));
    if (!had_head && parser.has_head()) waiting.erase(0, parser.Take(waiting));
  }
  return waiting + std::string(text);
}

constexpr std::string_view kPost =
    "POST /echo?a=1?2 HTTP/1.1\r\nHost: localhost\r\nX-Twice: one\r\nx-twice: two\r\n"
    "Content-Length: 5\r\n\r\nhello";

TEST(RequestParser, TakesARequestHoweverItComes) {
  for (const size_t piece : {1, 2, 7, 40, 1000}) {
    RequestParser parser(1000, 1000);
    const std::string rest = Feed(parser, std::string(kPost) + "GET / HTTP/1.1\r\n\r\n", piece);
    ASSERT_TRUE(parser.is_done()) << piece;
    const WebRequest head = parser.Head();
    EXPECT_EQ(head.method, "POST");
    EXPECT_EQ(head.path, "/echo");
    EXPECT_EQ(head.query, "a=1?2");
    EXPECT_EQ(head.Header("X-TWICE"), "one");
    EXPECT_EQ(head.headers.size(), 4);
    EXPECT_EQ(head.body_bytes, 5);
    EXPECT_EQ(parser.TakeBody(), "hello");
    EXPECT_EQ(rest, "GET / HTTP/1.1\r\n\r\n") << "the next request's bytes are left alone";
  }
}

TEST(RequestParser, SeesTheHeadBeforeTheBody) {
  RequestParser parser(1000, 1000);
  const size_t head = kPost.size() - 5;
  EXPECT_EQ(parser.Take(kPost), head);
  EXPECT_TRUE(parser.has_head());
  EXPECT_FALSE(parser.is_done());
  EXPECT_EQ(parser.Take(kPost.substr(head)), 5);
  EXPECT_TRUE(parser.is_done());
}

TEST(RequestParser, PutsChunksTogether) {
  for (const size_t piece : {1, 3, 4, 1000}) {
    for (const char* trailer : {"", "Trailer: x\r\n"}) {
      RequestParser parser(1000, 1000);
      Feed(parser,
           "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\n" +
               std::string(trailer) + "\r\n",
           piece);
      ASSERT_TRUE(parser.is_done()) << piece;
      EXPECT_FALSE(parser.body_bytes().has_value());
      EXPECT_EQ(parser.TakeBody(), "abc0123456789");
    }
  }
}

TEST(RequestParser, SaysWhetherTheConnectionMayGoOn) {
  const auto wants = [](std::string_view text) {
    RequestParser parser(1000, 1000);
    parser.Take(text);
    return parser.wants_keep_alive();
  };
  EXPECT_TRUE(wants("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(wants("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(wants("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(wants("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(RequestParser, RefusesWhatIsTooLargeOrAmbiguous) {
  const auto status = [](std::string_view text) {
    RequestParser parser(200, 10);
    Feed(parser, text, 16);
    return parser.problem() ? parser.problem()->status : 0;
  };
  EXPECT_EQ(status("GET /" + std::string(300, 'x')), 431);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n"), 413);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nB\r\n01234567890\r\n"),
            413);
  // Two lengths, or a length and chunks, are how requests are smuggled past a proxy.
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400);
  EXPECT_EQ(
      status("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      400);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nName : x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\nHost: x\n\n"), 400);
}

TEST(ResponseText, WritesWhatAClientReads) {
  const WebResponse response = {
      .status = 429, .type = "application/json", .body = "{}", .headers = {{"Retry-After", "3"}}};
  EXPECT_EQ(ResponseHead(response, {.keep_alive = false, .length = 2, .request_id = "ab"}),
            "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 3\r\n"
            "X-Request-Id: ab\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(
      ResponseHead({.type = "text/event-stream"}, {.chunked = true}),
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  // A client of HTTP/1.0 is told that its connection stays.
  EXPECT_EQ(ResponseHead({.type = "text/plain"}, {.version = 10, .length = 0}),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"
            "Connection: keep-alive\r\n\r\n");
  EXPECT_EQ(Chunk("0123456789abcdefg"), "11\r\n0123456789abcdefg\r\n");
  EXPECT_EQ(Chunk(""), "0\r\n\r\n");
}

}  // namespace
}  // namespace fathom
