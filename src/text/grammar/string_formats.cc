#include "text/grammar/string_formats.h"

#include <algorithm>
#include <utility>

namespace fathom::grammar {
namespace {

// No 29 February: whether a year has one is no regular question.
#define DATE                                                                                   \
  "\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|" \
  "02-(?:0[1-9]|1\\d|2[0-8]))"
#define TIME \
  "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
#define BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"

constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
    {"date", "^" DATE "$"},                // RFC 3339
    {"time", "^" TIME "$"},                // RFC 3339
    {"date-time", "^" DATE "T" TIME "$"},  // RFC 3339
    {"duration",                           // RFC 3339, appendix A
     "^P(?:\\d{1,9}W|(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)"
     "(?:T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S))?|"
     "T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S))$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},  // RFC 4122
    {"ipv4", "^" BYTE "(?:\\." BYTE "){3}$"},
    {"ipv6", "^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}$"},  // none of the short forms
    {"hostname", "^" LABEL "(?:\\." LABEL "){0,6}$"},
    {"email",
     "^[A-Za-z0-9_+-]{1,30}(?:\\.[A-Za-z0-9_+-]{1,20}){0,1}@" LABEL "(?:\\." LABEL "){1,5}$"},
};

#undef DATE
#undef TIME
#undef LABEL
#undef BYTE

}  // namespace

std::optional<std::string_view> PatternOfFormat(std::string_view format) {
  const auto found =
      std::ranges::find(kFormats, format, &std::pair<std::string_view, std::string_view>::first);
  if (found == std::end(kFormats)) return std::nullopt;
  return found->second;
}

}  // namespace fathom::grammar
