#pragma once

#include <memory>
#include <string_view>

#include "text/matcher.h"

namespace fathom {

// The patterns that the field uses, as their files write them.

// GPT-2's, which is also ByteLevel's with use_regex.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Llama 3's.
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Qwen2's: every digit is a word.
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

// DeepSeek-V3's three steps: numbers in groups of up to three digits, runs of Chinese and Japanese,
// and the rest into words, punctuation and white space.
inline constexpr std::string_view kDeepSeekV3Numbers = R"(\p{N}{1,3})";
inline constexpr std::string_view kDeepSeekV3Han = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
inline constexpr std::string_view kDeepSeekV3Words =
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^)re"
    "\r\n"
    R"re(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)re"
    "\r\n"
    R"re(]*|\s*[)re"
    "\r\n"
    R"re(]+|\s+(?!\S)|\s+)re";

// The steps of DeepSeek-LLM and V2 before Digits.
inline constexpr std::string_view kDeepSeekV2Newline = "[\r\n]";
extern const std::string_view kDeepSeekV2Letters;  // \s?[A-Za-z and many ranges]+
inline constexpr std::string_view kDeepSeekV2Signs =
    "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+";
inline constexpr std::string_view kDeepSeekV2LineEnd = R"(\s+$)";
inline constexpr std::string_view kDeepSeekV2Han = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";

// DeepSeek-Coder's, where they are others.
inline constexpr std::string_view kDeepSeekCoderLetters = R"(\s?\p{L}+)";
inline constexpr std::string_view kDeepSeekCoderSigns = R"(\s?\p{P}+)";

// A scanner written by hand for one of these patterns, which finds what the pattern finds, in time
// linear in the text; nullptr for every other pattern.
std::unique_ptr<const Matcher> MakeScanner(std::string_view pattern);

}  // namespace fathom
