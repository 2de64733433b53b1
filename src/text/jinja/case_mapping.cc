#include "text/jinja/case_mapping.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace fathom::jinja {
namespace {

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};

// All of a text as one match, which pcre2_substitute can then put into another case.
const pcre2_code* Everything() {
  static const std::unique_ptr<pcre2_code, CodeDeleter> code = [] {
    int error;
    PCRE2_SIZE offset;
    pcre2_code* compiled =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>("(?s)\\A.*\\z"), PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &offset, nullptr);
    FATHOM_CHECK(compiled != nullptr);
    return std::unique_ptr<pcre2_code, CodeDeleter>(compiled);
  }();
  return code.get();
}

}  // namespace

std::string MapCase(std::string_view text, bool upper) {
  std::string out(text);
  if (std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })) {
    const char first = upper ? 'a' : 'A', last = upper ? 'z' : 'Z';
    for (char& c : out) {
      if (c >= first && c <= last) c = static_cast<char>(c ^ 0x20);
    }
    return out;
  }
  // A character may take more bytes in the other case.
  PCRE2_SIZE length = text.size() * 3 + 1;
  out.resize(length);
  const int done =
      pcre2_substitute(Everything(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                       PCRE2_SUBSTITUTE_EXTENDED | PCRE2_NO_UTF_CHECK, nullptr, nullptr,
                       reinterpret_cast<PCRE2_SPTR>(upper ? "\\U$0" : "\\L$0"),
                       PCRE2_ZERO_TERMINATED, reinterpret_cast<PCRE2_UCHAR*>(out.data()), &length);
  FATHOM_CHECK(done == 1);
  out.resize(length);
  return out;
}

}  // namespace fathom::jinja
