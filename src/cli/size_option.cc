#include "cli/size_option.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <string_view>

namespace fathom {
namespace {

// Makes the number of bytes of "1.5GiB" of it; returns what is wrong with it.
std::string SizeInBytes(std::string& text) {
  constexpr std::string_view kPrefixes = "kmgtp";
  constexpr double kMost = 0x1p62;
  double count = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
  std::string unit(code == std::errc() ? std::string_view(end, text.data() + text.size()) : "?");
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.ends_with('b')) unit.pop_back();
  const bool binary = unit.size() == 2 && unit[1] == 'i';
  const size_t power = unit.empty() ? 0 : kPrefixes.find(unit[0]) + 1;
  const bool known = unit.empty() || (power > 0 && (binary || unit.size() == 1));
  if (!known) return fmt::format("'{}' is not a size such as 500MB or 2GiB", text);
  for (size_t i = 0; i < power; ++i) count *= binary ? 1024 : 1000;
  if (!(count >= 1 && count <= kMost))
    return fmt::format("'{}' is out of range: give a size such as 500MB or 2GiB", text);
  text = std::to_string(static_cast<uint64_t>(count));
  return {};
}

}  // namespace

CLI::Option* AddSizeOption(CLI::App& command, const std::string& name, uint64_t& bytes,
                           const std::string& description) {
  return command.add_option(name, bytes, description)
      ->type_name("SIZE")
      ->transform(CLI::Validator(SizeInBytes, ""));
}

}  // namespace fathom
