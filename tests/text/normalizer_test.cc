#include "text/normalizer.h"

#include <gtest/gtest.h>

#include <string>

namespace fathom {
namespace {

using Form = Normalizer::Form;

std::string Normalized(const std::vector<Form>& forms, std::string_view text) {
  std::string buffer;
  return std::string(Normalizer(forms).Apply(text, buffer));
}

// Examples of Unicode Standard Annex 15, figures 3 to 6, and of section 3.12 (Hangul).
TEST(Normalizer, MakesTheFourForms) {
  EXPECT_EQ(Normalized({Form::kNfc}, "\u212B\u2126"), "\u00C5\u03A9");
  EXPECT_EQ(Normalized({Form::kNfd}, "\u212B\u00F4"), "A\u030Ao\u0302");
  EXPECT_EQ(Normalized({Form::kNfc}, "A\u030Ao\u0302"), "\u00C5\u00F4");
  EXPECT_EQ(Normalized({Form::kNfc}, "\u1E0B\u0323"), "\u1E0D\u0307");
  EXPECT_EQ(Normalized({Form::kNfd}, "\u1E0B\u0323"), "d\u0323\u0307");
  EXPECT_EQ(Normalized({Form::kNfc}, "\uFB01"), "\uFB01");
  EXPECT_EQ(Normalized({Form::kNfkc},
                       "\uFB01"
                       "2\u2075"),
            "fi25");
  EXPECT_EQ(Normalized({Form::kNfkc}, "\u1E9B\u0323"), "\u1E69");
  EXPECT_EQ(Normalized({Form::kNfkd}, "\u1E9B\u0323"), "s\u0323\u0307");
  EXPECT_EQ(Normalized({Form::kNfc}, "\u1111\u1171\u11B6"), "\uD4DB");
  EXPECT_EQ(Normalized({Form::kNfd}, "\uD4DB"), "\u1111\u1171\u11B6");
  EXPECT_EQ(Normalized({Form::kNfc}, "\uD4CC\u11B6"), "\uD4DB");
}

TEST(Normalizer, SequencesApplyInOrder) {
  EXPECT_EQ(Normalized({Form::kNfkd, Form::kNfc}, "\uFB01\u00E9"), "fi\u00E9");
  EXPECT_EQ(Normalized({}, "e\u0301"), "e\u0301");
}

TEST(Normalizer, LeavesTextInTheFormWhereItIs) {
  std::string buffer;
  const std::string text = "plain, \u00E9t\u00E9 \u4E2D\u6587 \uAC00";
  EXPECT_EQ(Normalizer({Form::kNfc}).Apply(text, buffer).data(), text.data());
  EXPECT_EQ(Normalized({Form::kNfc}, ""), "");
}

TEST(Normalizer, KnowsUnicodeNine) {
  // Of class 220 since Unicode 14: it would move behind U+0334 (class 1).
  EXPECT_EQ(Normalized({Form::kNfc}, "a\u08CF\u0334"), "a\u08CF\u0334");
  EXPECT_EQ(Normalized({Form::kNfc}, "a\u0316\u0334"), "a\u0334\u0316");
  // Composes since Unicode 13.
  EXPECT_EQ(Normalized({Form::kNfc}, "\U00011935\U00011930"), "\U00011935\U00011930");
}

}  // namespace
}  // namespace fathom
