#include "text/jinja/time_text.h"

#include <ctime>

namespace fathom::jinja {

std::string TimeText(const Runtime& runtime, const std::string& format,
                     std::optional<int64_t> moment) {
  constexpr size_t kMaxFormat = 256, kMaxText = 4096;
  if (format.empty()) return {};
  if (format.size() > kMaxFormat) runtime.Fail("the format of a time is too long");
  std::tm parts{};
  const std::time_t seconds = moment ? static_cast<std::time_t>(*moment) : std::time(nullptr);
  const bool known =
      (moment ? gmtime_r(&seconds, &parts) : localtime_r(&seconds, &parts)) != nullptr;
  if (!known) runtime.Fail("the time is beyond the calendar");
  char text[kMaxText];
  // One character more, so that an empty result is not taken for a failure.
  const size_t length = std::strftime(text, sizeof(text), (format + "x").c_str(), &parts);
  if (length == 0) runtime.Fail("a time is too long");
  return std::string(text, length - 1);
}

}  // namespace fathom::jinja
