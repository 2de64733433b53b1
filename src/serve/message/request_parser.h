#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/message/message.h"

namespace fathom {

// Reads one request of HTTP/1.0 or HTTP/1.1 out of bytes as they come.
class RequestParser {
 public:
  // What is larger is a problem: 431, 413.
  RequestParser(uint32_t header_bytes, size_t body_bytes);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Takes what it can use: the head in a call of its own, then the body. Returns how many bytes
  // those were; the others have to be given again, with more behind them, as long as neither
  // is_done() nor problem(). Bytes behind the request are not taken.
  size_t Take(std::string_view bytes);

  bool has_head() const;
  bool is_done() const;
  // What the client is told when this is not a request, or is too large.
  struct Problem {
    int status;
    std::string message;
  };
  const std::optional<Problem>& problem() const { return problem_; }

  // Of the head; once it is there.
  WebRequest Head() const;
  unsigned version() const;  // 10, 11
  bool wants_keep_alive() const;
  bool has_expectation() const;  // a header Expect
  bool expects_continue() const;
  // Nothing: nobody knows.
  std::optional<uint64_t> body_bytes() const;

  std::string TakeBody();

 private:
  struct State;  // Beast's
  std::unique_ptr<State> state_;
  std::optional<Problem> problem_;
};

}  // namespace fathom
