#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace fathom {

// The one error that reaches a user: what is wrong, where, and what to do about it, in one line:
//   "model/config.json: key 'hidden_size' is missing (a DeepSeek-V3 config.json has it)".
// Thrown for everything that the outside world can cause: files, configuration, requests, memory. A
// mistake of the programmer's is a CHECK (below). main() prints what() and exits with 1.
class Error : public std::runtime_error {
 public:
  // where: a file, a tensor, a byte offset, a configuration key; may be empty. hint: what to do;
  // may be empty.
  Error(std::string_view where, std::string_view what, std::string_view hint = {});
};

// A mistake on the command line; main() exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

namespace internal {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line,
                              const std::string& detail);
}  // namespace internal

// Aborts with a message when an invariant of the program does not hold; in every build. The
// optional arguments are a format string and its values: FATHOM_CHECK(a == b, "a {} b {}", a, b).
#define FATHOM_CHECK(condition, ...)                                                 \
  do {                                                                               \
    if (!(condition)) [[unlikely]] {                                                 \
      ::fathom::internal::CheckFailed(#condition, __FILE__, __LINE__,                \
                                      ::fathom::internal::CheckDetail(__VA_ARGS__)); \
    }                                                                                \
  } while (false)

namespace internal {
inline std::string CheckDetail() { return {}; }
template <typename... Args>
std::string CheckDetail(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}
}  // namespace internal

}  // namespace fathom
