#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace fathom {
namespace {

std::string Compose(std::string_view where, std::string_view what, std::string_view hint) {
  std::string line;
  if (!where.empty()) line = fmt::format("{}: ", where);
  line += what;
  if (!hint.empty()) line += fmt::format(" ({})", hint);
  return line;
}

}  // namespace

Error::Error(std::string_view where, std::string_view what, std::string_view hint)
    : std::runtime_error(Compose(where, what, hint)) {}

namespace internal {

void CheckFailed(const char* condition, const char* file, int line, const std::string& detail) {
  std::fprintf(stderr, "fathom: internal error at %s:%d: %s does not hold. %s\n", file, line,
               condition, detail.c_str());
  std::abort();
}

}  // namespace internal
}  // namespace fathom
