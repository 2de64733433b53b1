#include "posttrain/answers/units.h"

#include <array>
#include <cstdlib>

#include "base/ascii.h"
#include "posttrain/answers/math_text.h"

namespace fathom {
namespace {

// More words than this are a sentence.
constexpr size_t kMostWords = 6;
constexpr int64_t kHighestPower = 6;

struct KnownUnit {
  std::string_view names;  // separated by spaces
  std::string_view dimension;
  int64_t power;
  int64_t numerator, denominator;  // of the base unit
};

// Base units: metre, gram, second, cent, degree. A litre is a cubic decimetre. Inches are exactly
// 2.54 cm, pounds 453.59237 g, US gallons 231 cubic inches.
constexpr std::array kUnits = {
    KnownUnit{"nm nanometer nanometre", "length", 1, 1, 1'000'000'000},
    KnownUnit{"mm millimeter millimetre", "length", 1, 1, 1000},
    KnownUnit{"cm centimeter centimetre", "length", 1, 1, 100},
    KnownUnit{"m meter metre", "length", 1, 1, 1},
    KnownUnit{"km kilometer kilometre", "length", 1, 1000, 1},
    KnownUnit{"in inch inches", "length", 1, 254, 10'000},
    KnownUnit{"ft foot feet", "length", 1, 3048, 10'000},
    KnownUnit{"yd yard", "length", 1, 9144, 10'000},
    KnownUnit{"mi mile", "length", 1, 1'609'344, 1000},
    KnownUnit{"mg milligram", "mass", 1, 1, 1000},
    KnownUnit{"g gram", "mass", 1, 1, 1},
    KnownUnit{"kg kilogram", "mass", 1, 1000, 1},
    KnownUnit{"oz ounce", "mass", 1, 45'359'237, 1'600'000},
    KnownUnit{"lb lbs pound", "mass", 1, 45'359'237, 100'000},
    KnownUnit{"ms millisecond", "time", 1, 1, 1000},
    KnownUnit{"s sec second", "time", 1, 1, 1},
    KnownUnit{"min minute", "time", 1, 60, 1},
    KnownUnit{"h hr hrs hour", "time", 1, 3600, 1},
    KnownUnit{"day", "time", 1, 86'400, 1},
    KnownUnit{"week", "time", 1, 604'800, 1},
    KnownUnit{"cent cents", "money", 1, 1, 1},
    KnownUnit{"dollar usd", "money", 1, 100, 1},
    KnownUnit{"degree deg", "angle", 1, 1, 1},
    KnownUnit{"ml milliliter millilitre", "length", 3, 1, 1'000'000},
    KnownUnit{"l liter litre", "length", 3, 1, 1000},
    KnownUnit{"gallon gal", "length", 3, 3'785'411'784, 1'000'000'000'000},
    KnownUnit{"month", "month", 1, 1, 1},
    KnownUnit{"year yr", "month", 1, 12, 1},
};

// "boxes" is "box", "cities" is "city", "days" is "day".
std::string Singular(std::string word) {
  const auto ends = [&](std::string_view end) { return word.ends_with(end); };
  if (word.size() <= 3 || ends("ss")) return word;
  if (ends("ies")) return word.substr(0, word.size() - 3) + "y";
  for (const char* end : {"sses", "xes", "zes", "ches", "shes"}) {
    if (ends(end)) return word.substr(0, word.size() - 2);
  }
  return ends("s") ? word.substr(0, word.size() - 1) : word;
}

bool Lists(std::string_view names, std::string_view word) {
  while (!names.empty()) {
    const size_t space = names.find(' ');
    if (names.substr(0, space) == word) return true;
    if (space == std::string_view::npos) return false;
    names.remove_prefix(space + 1);
  }
  return false;
}

const KnownUnit* Find(std::string_view written) {
  const std::string word = LowerCase(written);
  const std::string singular = Singular(word);
  for (const KnownUnit& unit : kUnits) {
    if (Lists(unit.names, word) || Lists(unit.names, singular)) return &unit;
  }
  return nullptr;
}

class Reader {
 public:
  explicit Reader(std::span<const MathToken> tokens) : tokens_(tokens) {}

  std::optional<Unit> Read() {
    size_t words = 0;
    while (at_ < tokens_.size()) {
      const MathToken& token = tokens_[at_];
      if (token.kind == MathToken::Kind::kDegree) {
        ++at_;
        Multiply("degree", 1);
      } else if (token.kind == MathToken::Kind::kWord) {
        if (++words > kMostWords) return std::nullopt;
        ++at_;
        if (!Word(LowerCase(token.text))) return std::nullopt;
      } else if (token.Is("/") || token.Is("*")) {
        ++at_;
        sign_ = token.Is("/") ? -1 : 1;
      } else if (token.kind == MathToken::Kind::kLetter && sign_ < 0 && Find(token.text)) {
        ++at_;
        Multiply(token.text, Exponent());
      } else {
        return std::nullopt;
      }
    }
    return std::move(unit_);
  }

 private:
  bool Word(const std::string& word) {
    if (word == "per") {
      sign_ = -1;
    } else if (word == "square" || word == "sq") {
      next_power_ = 2;
    } else if (word == "cubic" || word == "cu") {
      next_power_ = 3;
    } else if (word == "squared" || word == "cubed") {
      return false;
    } else if (word == "mph") {
      Multiply("mile", 1);
      sign_ = -1;
      Multiply("hour", 1);
    } else {
      Multiply(word, Exponent());
    }
    return true;
  }

  // "^2", "^{2}", or 1.
  int64_t Exponent() {
    size_t at = at_;
    if (at >= tokens_.size() || !tokens_[at].Is("^")) return 1;
    const bool group = ++at < tokens_.size() && tokens_[at].Is("{");
    if (group) ++at;
    if (at >= tokens_.size() || tokens_[at].kind != MathToken::Kind::kNumber ||
        tokens_[at].text.size() != 1) {
      return 1;
    }
    const int64_t power = tokens_[at].text[0] - '0';
    ++at;
    if (group) {
      if (at >= tokens_.size() || !tokens_[at].Is("}")) return 1;
      ++at;
    }
    at_ = at;
    return power;
  }

  void Multiply(std::string_view word, int64_t power) {
    power = std::min(power * next_power_, kHighestPower) * sign_;
    next_power_ = 1;
    if (word == "unit" || word == "units") return;
    const KnownUnit* known = Find(word);
    std::string dimension =
        known == nullptr ? Singular(std::string(word)) : std::string(known->dimension);
    int64_t& exponent = unit_.dimensions[dimension];
    exponent += power * (known == nullptr ? 1 : known->power);
    if (exponent == 0) unit_.dimensions.erase(dimension);
    if (known == nullptr) return;
    const ExactNumber factor(known->numerator, known->denominator);
    for (int64_t i = 0; i < std::llabs(power); ++i) {
      unit_.factor =
          power > 0 ? ExactNumber(unit_.factor * factor) : ExactNumber(unit_.factor / factor);
    }
  }

  std::span<const MathToken> tokens_;
  size_t at_ = 0;
  int64_t sign_ = 1, next_power_ = 1;
  Unit unit_;
};

}  // namespace

bool IsUnitName(std::string_view word) { return Find(word) != nullptr; }

std::optional<Unit> ParseUnit(std::span<const MathToken> tokens) { return Reader(tokens).Read(); }

}  // namespace fathom
