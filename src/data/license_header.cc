#include "data/license_header.h"

#include <algorithm>
#include <array>

namespace fathom {
namespace {

constexpr std::string_view kBlank = " \t\r\n\f\v";

// In lower case.
constexpr std::array<std::string_view, 8> kLicenseWords = {
    "copyright", "license", "licence",           "warranty",
    "spdx-",     " gpl",    "permission to use", "all rights reserved"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool HoldsLicense(std::string_view comment) {
  return std::any_of(kLicenseWords.begin(), kLicenseWords.end(), [&](std::string_view word) {
    return std::search(comment.begin(), comment.end(), word.begin(), word.end(),
                       [](char a, char b) { return Lower(a) == b; }) != comment.end();
  });
}

// The length of the comment that `text` begins with, its line end included; 0 when it begins with
// something else or the comment does not end.
size_t CommentLength(std::string_view text) {
  size_t end = std::string_view::npos;
  if (text.starts_with("//")) {
    end = text.find('\n');
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  if (text.starts_with("/*")) end = text.find("*/", 2);
  return end == std::string_view::npos ? 0 : end + 2;
}

// Whether a blank line lies between: a line's comment includes its line end, another one's does
// not.
bool HasLineEnd(std::string_view text, size_t begin, size_t end) {
  return text.substr(begin, end - begin).find('\n') != std::string_view::npos;
}

}  // namespace

std::string StripLicenseHeader(std::string_view text) {
  // The licence is [cut, end), where there is one.
  size_t cut = std::string_view::npos, end = 0;
  // Where the paragraph of "//" lines under way began; npos: there is none.
  size_t paragraph = std::string_view::npos;
  for (size_t position = 0;;) {
    const size_t begin = text.find_first_not_of(kBlank, position);
    if (begin == std::string_view::npos) break;
    const size_t length = CommentLength(text.substr(begin));
    if (length == 0) break;
    const std::string_view comment = text.substr(begin, length);
    const bool is_line = comment.starts_with("//");
    const bool is_blank_line = is_line && comment.find_first_not_of("/ \t\r\n") == comment.npos;
    const bool goes_on = is_line && !is_blank_line && !HasLineEnd(text, position, begin);
    if (!goes_on || paragraph == std::string_view::npos) paragraph = begin;
    if (HoldsLicense(comment)) {
      cut = std::min(cut, paragraph);
      end = begin + length;
    }
    position = begin + length;
  }
  if (cut == std::string_view::npos) return std::string(text);
  // A licence goes on for lines that hold no such word: to the end of its run of "//" lines.
  while (end < text.size()) {
    const size_t line = text.find_first_not_of(" \t", end);
    if (line == std::string_view::npos || !text.substr(line).starts_with("//")) break;
    end = line + CommentLength(text.substr(line));
  }
  const size_t rest = std::min(text.find_first_not_of("\r\n", end), text.size());
  const std::string_view before = text.substr(0, cut);
  const bool has_title = before.find_first_not_of(kBlank) != std::string_view::npos;
  return std::string(has_title ? before : std::string_view()).append(text.substr(rest));
}

}  // namespace fathom
