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

}  // namespace

std::string_view StripLicenseHeader(std::string_view text) {
  size_t position = 0;
  size_t cut = 0;
  while (true) {
    const size_t begin = text.find_first_not_of(kBlank, position);
    if (begin == std::string_view::npos) break;
    const size_t length = CommentLength(text.substr(begin));
    if (length == 0) break;
    position = begin + length;
    if (HoldsLicense(text.substr(begin, length))) cut = position;
  }
  if (cut == 0) return text;
  // A licence paragraph goes on for lines that hold no such word: to the end of its run of "//"
  // lines.
  while (cut < text.size()) {
    const size_t line = text.find_first_not_of(" \t", cut);
    if (line == std::string_view::npos || !text.substr(line).starts_with("//")) break;
    cut = line + CommentLength(text.substr(line));
  }
  const size_t rest = text.find_first_not_of("\r\n", cut);
  return rest == std::string_view::npos ? std::string_view() : text.substr(rest);
}

}  // namespace fathom
