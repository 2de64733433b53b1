#include "posttrain/answers/math_text.h"

#include <unordered_map>

#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

const std::unordered_map<char32_t, std::string_view>& Replacements() {
  static const std::unordered_map<char32_t, std::string_view> kMap = {{0x2212, "-"},
                                                                      {0x2010, "-"},
                                                                      {0x2011, "-"},
                                                                      {0x2013, "-"},
                                                                      {0x2014, "-"},
                                                                      {0x00D7, "\\times "},
                                                                      {0x00B7, "\\cdot "},
                                                                      {0x22C5, "\\cdot "},
                                                                      {0x2217, "*"},
                                                                      {0x2219, "\\cdot "},
                                                                      {0x00F7, "\\div "},
                                                                      {0x2044, "/"},
                                                                      {0x2215, "/"},
                                                                      {0x221A, "\\sqrt "},
                                                                      {0x03C0, "\\pi "},
                                                                      {0x221E, "\\infty "},
                                                                      {0x2264, "\\le "},
                                                                      {0x2265, "\\ge "},
                                                                      {0x2A7D, "\\le "},
                                                                      {0x2A7E, "\\ge "},
                                                                      {0x2260, "\\ne "},
                                                                      {0x2248, "\\approx "},
                                                                      {0x00B0, "\\degree "},
                                                                      {0x222A, "\\cup "},
                                                                      {0x2229, "\\cap "},
                                                                      {0x2208, "\\in "},
                                                                      {0x2205, "\\emptyset "},
                                                                      {0x00B1, "\\pm "},
                                                                      {0x2213, "\\mp "},
                                                                      {0x03B1, "\\alpha "},
                                                                      {0x03B2, "\\beta "},
                                                                      {0x03B3, "\\gamma "},
                                                                      {0x03B4, "\\delta "},
                                                                      {0x03B8, "\\theta "},
                                                                      {0x03BB, "\\lambda "},
                                                                      {0x03BC, "\\mu "},
                                                                      {0x03C3, "\\sigma "},
                                                                      {0x03C6, "\\phi "},
                                                                      {0x03C9, "\\omega "},
                                                                      {0x211D, "\\mathbb{R}"},
                                                                      {0x00BD, "\\frac{1}{2}"},
                                                                      {0x2153, "\\frac{1}{3}"},
                                                                      {0x2154, "\\frac{2}{3}"},
                                                                      {0x00BC, "\\frac{1}{4}"},
                                                                      {0x00BE, "\\frac{3}{4}"},
                                                                      {0x2155, "\\frac{1}{5}"},
                                                                      {0x2156, "\\frac{2}{5}"},
                                                                      {0x2157, "\\frac{3}{5}"},
                                                                      {0x2158, "\\frac{4}{5}"},
                                                                      {0x2159, "\\frac{1}{6}"},
                                                                      {0x215A, "\\frac{5}{6}"},
                                                                      {0x215B, "\\frac{1}{8}"},
                                                                      {0x215C, "\\frac{3}{8}"},
                                                                      {0x215D, "\\frac{5}{8}"},
                                                                      {0x215E, "\\frac{7}{8}"},
                                                                      {0x00B9, "^{1}"},
                                                                      {0x00B2, "^{2}"},
                                                                      {0x00B3, "^{3}"},
                                                                      {0x2070, "^{0}"},
                                                                      {0x2074, "^{4}"},
                                                                      {0x2075, "^{5}"},
                                                                      {0x2076, "^{6}"},
                                                                      {0x2077, "^{7}"},
                                                                      {0x2078, "^{8}"},
                                                                      {0x2079, "^{9}"},
                                                                      {0x2018, "'"},
                                                                      {0x2019, "'"},
                                                                      {0x2032, "'"},
                                                                      {0x201C, "\""},
                                                                      {0x201D, "\""},
                                                                      {0x27E8, "\\langle "},
                                                                      {0x27E9, "\\rangle "},
                                                                      {0x2308, "\\lceil "},
                                                                      {0x2309, "\\rceil "},
                                                                      {0x230A, "\\lfloor "},
                                                                      {0x230B, "\\rfloor "},
                                                                      {0x3001, ","},
                                                                      {0x3002, "."},
                                                                      {0x00A0, " "},
                                                                      {0x202F, " "},
                                                                      {0x3000, " "},
                                                                      {0x200B, ""},
                                                                      {0xFEFF, ""}};
  return kMap;
}

}  // namespace

std::string AsciiMath(std::string_view original) {
  std::string valid;
  std::string_view text = original;
  if (!IsValidUtf8(text)) text = valid = ReplaceInvalidUtf8(text);
  std::string out;
  out.reserve(text.size());
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    if (static_cast<unsigned char>(*p) < 0x80) {
      out += *p++;
      continue;
    }
    const char* const begin = p;
    const char32_t code_point = NextCodePoint(p);
    const auto found = Replacements().find(code_point);
    if (found != Replacements().end()) {
      out += found->second;
    } else if (code_point >= 0x2000 && code_point <= 0x200A) {
      out += ' ';
    } else if (code_point >= 0xFF01 && code_point <= 0xFF5E) {
      out += static_cast<char>(code_point - 0xFF01 + '!');
    } else {
      out.append(begin, p);
    }
  }
  return out;
}

bool ReadBraces(std::string_view text, size_t open, std::string_view& content, size_t& end) {
  if (open >= text.size() || text[open] != '{') return false;
  size_t depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      content = text.substr(open + 1, i - open - 1);
      end = i + 1;
      return true;
    }
  }
  return false;
}

}  // namespace fathom
