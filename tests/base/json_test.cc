#include "base/json.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

TEST(Json, ReadsEveryKind) {
  const JsonDocument document(
      R"({"a": 7, "b": -2.5, "c": true, "d": "h\u00e9", "e": [1, 2], "f": {"g": null}, "h": null})",
      "x.json");
  const JsonValue& root = document.root();
  EXPECT_EQ(root.At("a").Int(), 7);
  EXPECT_EQ(root.At("a").Number(), 7.0);
  EXPECT_EQ(root.At("b").Number(), -2.5);
  EXPECT_TRUE(root.At("c").Bool());
  EXPECT_EQ(root.At("d").String(), "h\xc3\xa9");
  ASSERT_EQ(root.At("e").Array().size(), 2u);
  EXPECT_EQ(root.At("e").Array()[1].Int(), 2);
  EXPECT_TRUE(root.At("f").At("g").IsNull());
  EXPECT_EQ(root.Object().size(), 7u);
  EXPECT_EQ(root.Object()[4].first, "e");
  EXPECT_FALSE(root.Find("h"));
  EXPECT_FALSE(root.Find("missing"));
  EXPECT_EQ(root.IntOr("missing", 3), 3);
  EXPECT_EQ(root.IntOr("a", 3), 7);
  EXPECT_EQ(root.NumberOr("h", 0.5), 0.5);
  EXPECT_TRUE(root.BoolOr("missing", true));
}

TEST(Json, ErrorsSayWhere) {
  const JsonDocument document(R"({"rope": {"factor": "x"}, "list": [0, {"k": 1.5}]})", "c.json");
  const JsonValue& root = document.root();
  EXPECT_ERROR(root.At("missing"), "c.json: key 'missing' is missing");
  EXPECT_ERROR(root.At("rope").At("factor").Int(),
               "c.json: rope.factor: expected an integer, found \"x\"");
  EXPECT_ERROR(root.At("list").Array()[1].At("k").Int(), "c.json: list[1].k: expected an integer");
  EXPECT_ERROR(root.At("list").At("k"), "c.json: list: expected an object");
  EXPECT_ERROR(root.At("rope").String(), "expected a string");
  EXPECT_ERROR(root.IntOr("rope", 1), "expected an integer");
  EXPECT_ERROR(root.Array(), "c.json: expected an array");
}

TEST(Json, BrokenTextIsAnError) {
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", "\"\xff\"", "{'a': 1}"})
    EXPECT_ERROR(JsonDocument(text, "broken.json"), "broken.json: is not valid JSON");
}

TEST(Json, NestingIsBounded) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  JsonDocument(nested(200), "deep.json");
  EXPECT_ERROR(JsonDocument(nested(300), "deep.json"), "deep.json: is not valid JSON");
  EXPECT_ERROR(JsonDocument(nested(200000), "deep.json"), "deep.json: is not valid JSON");
}

TEST(Json, AnIntegerThatDoesNotFitIsAnError) {
  const JsonDocument document(R"({"big": 9223372036854775808, "max": 9223372036854775807})", "n");
  EXPECT_EQ(document.root().At("max").Int(), INT64_MAX);
  EXPECT_ERROR(document.root().At("big").Int(), "expected an integer");
}

}  // namespace
}  // namespace fathom
