#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Where an answer is found in what a model wrote. Of several places the last one counts.
enum class AnswerRule : uint8_t {
  kBoxed,     // "boxed": \boxed{42}
  kTags,      // "tags": <answer>42</answer>
  kHash,      // "hash": #### 42, to the end of the line
  kSentence,  // "sentence": The answer is 42. / Answer: 42
  kNumber,    // "number": the last number there is
  kLine,      // "line": the last line that is not blank
  kWhole,     // "whole": all of it
};
std::string_view Name(AnswerRule rule);

// "boxed,hash,number" as rules in order of preference; Error(`where`) for an unknown name.
std::vector<AnswerRule> ParseAnswerRules(std::string_view names, std::string_view where);

// What the first rule finds that finds something, without white space around it.
std::optional<std::string> ExtractAnswer(std::string_view text, std::span<const AnswerRule> rules);

}  // namespace fathom
