// JSON Schemas as grammars: what is valid and what is not.

#include "text/grammar/json_schema.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar_matches.h"

namespace fathom::test {
namespace {

using grammar::Grammar;
using grammar::GrammarBuilder;

Grammar Compiled(const std::string& schema) {
  const JsonDocument document(schema, "schema");
  GrammarBuilder builder("schema");
  const grammar::JsonText json(builder);
  const grammar::Expression values = SchemaValues(document.root(), json, builder);
  return builder.Build(builder.NewRule(values));
}

struct Case {
  std::string schema;
  std::vector<std::string> valid, invalid;
};

void Check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    const Grammar grammar = Compiled(one.schema);
    for (const std::string& text : one.valid) {
      EXPECT_TRUE(Matches(grammar, text)) << one.schema << " has " << text;
    }
    for (const std::string& text : one.invalid) {
      EXPECT_FALSE(Matches(grammar, text)) << one.schema << " has not " << text;
    }
  }
}

TEST(JsonSchema, Types) {
  Check({
      {R"({})", {"1", "\"a\"", "[1,{}]", "null"}, {""}},
      {R"(true)", {"{}"}, {}},
      {R"({"type":"integer"})", {"0", "-12"}, {"1.5", "\"1\"", "null", "-"}},
      {R"({"type":"number"})", {"0", "-1.5e3"}, {"true"}},
      {R"({"type":"boolean"})", {"true", "false"}, {"null", "tru"}},
      {R"({"type":["string","null"]})", {"\"x\"", "null"}, {"1"}},
      {R"({"type":"object"})", {"{}", R"({"a":[1]})"}, {"[]"}},
      {R"({"type":"array"})", {"[]", "[1, \"a\"]"}, {"{}"}},
      // Without a type, that which its keywords are about.
      {R"({"maxLength":2})", {"\"ab\""}, {"\"abc\"", "1"}},
  });
}

TEST(JsonSchema, Objects) {
  Check({
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},
           "required":["a","b"],"additionalProperties":false})",
       {R"({"a":1,"b":"x"})", R"({ "a": 1, "b": "x" })", "{\n  \"a\": 1,\n  \"b\": \"x\"\n}"},
       {R"({})", R"({"a":1})", R"({"b":"x","a":1})", R"({"a":1,"b":"x","c":1})",
        R"({"a":"x","b":1})", R"({"a":1,"b":"x",})", R"({"a":1 "b":"x"})"}},
      // All optional, in their order.
      {R"({"properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"integer"}}})",
       {"{}", R"({"a":1})", R"({"c":1})", R"({"a":1,"c":2})", R"({"a":1,"b":2,"c":3})"},
       {R"({"b":1,"a":2})", R"({"a":1,"a":2})", R"({"d":1})", R"({,"b":1})"}},
      {R"({"properties":{"a":{},"b":{}},"required":["b"]})",
       {R"({"b":1})", R"({"a":1,"b":1})"},
       {"{}", R"({"a":1})"}},
      // Others, whose names are not those of the first ones.
      {R"({"properties":{"ab":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})",
       {"{}", R"({"ab":1})", R"({"ab":1,"x":true})", R"({"a":true,"abc":false,"":true})"},
       {R"({"ab":true})", R"({"x":1})", R"({"x":true,"ab":1})", R"({"x":true,"ab":true})"}},
      {R"({"type":"object","additionalProperties":{"type":"integer"}})",
       {"{}", R"({"x":1,"y":2})"},
       {R"({"x":"a"})"}},
      {R"({"required":["x"],"additionalProperties":{"type":"integer"}})",
       {R"({"x":1})", R"({"x":1,"y":2})"},
       {"{}", R"({"y":1})"}},
      {R"({"properties":{"a \"quoted\" \\ name\n":{"type":"null"}}})",
       {R"({"a \"quoted\" \\ name\n":null})"},
       {}},
      {R"({"type":"object","additionalProperties":false})", {"{}", "{ }"}, {R"({"a":1})"}},
  });
}

TEST(JsonSchema, Arrays) {
  Check({
      {R"({"type":"array","items":{"type":"integer"}})",
       {"[]", "[1]", "[1, 2,3]"},
       {"[true]", "[1,]"}},
      {R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})",
       {"[1,2]", "[1,2,3]"},
       {"[]", "[1]", "[1,2,3,4]"}},
      {R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"}},
      {R"({"prefixItems":[{"type":"integer"},{"type":"string"}],"items":false})",
       {"[]", "[1]", "[1,\"a\"]"},
       {"[\"a\"]", "[1,\"a\",2]"}},
      {R"({"prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"null"},"minItems":3})",
       {"[1,\"a\",null]", "[1,\"a\",null,null]"},
       {"[1,\"a\"]", "[1,\"a\",1]"}},
      {R"({"prefixItems":[{"type":"integer"},{"type":"string"}],"maxItems":1})",
       {"[]", "[1]"},
       {"[1,\"a\"]"}},
  });
}

TEST(JsonSchema, Strings) {
  Check({
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {"\"ab\"", "\"\xC3\xA9\xF0\x9F\x98\x80\"", "\"a\\n\\u00e9\""},
       {"\"a\"", "\"abcd\""}},
      {R"({"type":"string","pattern":"^[A-Z]{2}-\\d+$"})",
       {"\"AB-1\"", "\"XY-123\""},
       {"\"AB-\"", "\"ab-1\"", "\"AB-1 \"", "AB-1"}},
      // A pattern is looked for, unless it says where it is.
      {R"({"pattern":"b+"})", {"\"abc\"", "\"b\""}, {"\"ac\""}},
      {R"({"pattern":"^a|c$"})", {"\"ax\"", "\"xc\""}, {"\"xa\"", "\"cx\""}},
      {R"({"pattern":"^(?:yes|no)(\\.[^a-c\"]){0,2}?$"})",
       {"\"yes\"", "\"no.x.y\""},
       {"\"no.a\"", "\"no.x.x.x\""}},
      {R"({"pattern":"^\\w\\s\\S$"})", {"\"a b\"", "\"_\\t\xC3\xA9\""}, {"\"a  \"", "\"-b \""}},
      {R"({"pattern":"^[\"\\\\\\n]$"})", {R"("\"")", R"("\\")", R"("\n")"}, {"\"\"\""}},
      {R"({"pattern":"^\u00e9[\u3040-\u309f]\\u0041\\x42$"})",
       {"\"\xC3\xA9\xE3\x81\x82"
        "AB\""},
       {}},
      {R"({"format":"date"})",
       {"\"2024-01-31\"", "\"2024-02-28\""},
       {"\"2024-02-30\"", "\"2024-13-01\""}},
      {R"({"format":"date-time"})",
       {"\"2024-01-31T23:59:59Z\"", "\"2024-01-31T00:00:00.5+02:00\""},
       {"\"2024-01-31\"", "\"2024-01-31T24:00:00Z\""}},
      {R"({"format":"uuid"})", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\""}},
      {R"({"format":"ipv4"})", {"\"192.168.0.255\""}, {"\"192.168.0.256\"", "\"1.2.3\""}},
      {R"({"format":"email"})", {"\"a.b@example.org\""}, {"\"a@b\"", "\"@example.org\""}},
      {R"({"format":"duration"})",
       {"\"P1Y2M\"", "\"PT5M\"", "\"P2DT3H\"", "\"P3W\""},
       {"\"P\"", "\"PT\"", "\"P1YT\""}},
  });
}

TEST(JsonSchema, Numbers) {
  Check({
      {R"({"type":"integer","minimum":3,"exclusiveMaximum":12})", {"3", "11"}, {"2", "12", "3.0"}},
      {R"({"type":"integer","exclusiveMinimum":2.5,"maximum":4.5})", {"3", "4"}, {"2", "5"}},
      {R"({"type":"integer","minimum":-1,"exclusiveMinimum":0})", {"1"}, {"0", "-1"}},
      {R"({"type":"number","minimum":0,"maximum":1})", {"0.5", "1"}, {"1.5", "-0.5"}},
  });
}

TEST(JsonSchema, ChoicesAndConstants) {
  Check({
      {R"({"enum":["a","b",3,null,{"x":[1]}]})",
       {"\"a\"", "3", "null", R"({"x": [1]})"},
       {"\"c\"", "4", "{}"}},
      {R"({"type":"string","enum":["a",3]})", {"\"a\""}, {"3"}},
      {R"({"const":"x\ny"})", {"\"x\\ny\""}, {"\"x\""}},
      {R"({"anyOf":[{"type":"integer"},{"type":"null"}]})", {"1", "null"}, {"\"a\""}},
      {R"({"allOf":[{"type":"integer"}]})", {"1"}, {"null"}},
      // Alternatives that begin alike.
      {R"({"anyOf":[{"properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"]},
                    {"properties":{"k":{"const":"ab"},"y":{"type":"integer"}},"required":["k","y"]}]})",
       {R"({"k":"a","x":1})", R"({"k":"ab","y":1})"},
       {R"({"k":"a","y":1})", R"({"k":"ab","x":1})"}},
      {R"({"oneOf":[{"properties":{"k":{"const":1}},"required":["k"]},
                    {"properties":{"k":{"enum":[2,3]}},"required":["k"]}]})",
       {R"({"k":1})", R"({"k":3})"},
       {R"({"k":4})"}},
      {R"({"oneOf":[{"type":"string"},{"type":"integer"}]})", {"1", "\"a\""}, {"1.5"}},
  });
}

TEST(JsonSchema, References) {
  Check({
      {R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{
            "value":{"type":"integer"},
            "next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},
          "required":["value","next"],"additionalProperties":false}}})",
       {R"({"value":1,"next":null})",
        R"({"value":1,"next":{"value":2,"next":{"value":3,"next":null}}})"},
       {R"({"value":1})", R"({"value":1,"next":{}})"}},
      {R"({"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}}})",
       {R"({"children":[{},{"children":[]}]})"},
       {R"({"children":[1]})"}},
      {R"({"items":{"$ref":"#/definitions/a~1b"},"definitions":{"a/b":{"type":"null"}}})",
       {"[null]"},
       {"[1]"}},
  });
}

// Nothing of a schema is ignored: what cannot be kept to is named.
TEST(JsonSchema, WhatCannotBeKeptToIsAnError) {
  for (const auto& [schema, named] : std::vector<std::pair<std::string, std::string>>{
           {R"({"properties":{"a":{"multipleOf":3}}})", "properties.a"},
           {R"({"patternProperties":{}})", "patternProperties"},
           {R"({"not":{}})", "not"},
           {R"({"uniqueItems":true})", "uniqueItems"},
           {R"({"if":{}})", "if"},
           {R"({"strange":1})", "strange"},
           {R"({"type":"text"})", "text"},
           {R"({"type":"string","format":"iri"})", "iri"},
           {R"({"type":"string","pattern":"a","maxLength":3})", "pattern"},
           {R"j({"pattern":"(?=a)"})j", "assertions"},
           {R"({"pattern":"(a"})", "')'"},
           {R"({"pattern":"[b-a]"})", "range"},
           {R"({"pattern":"a\\b"})", "\\b"},
           {R"({"pattern":"(a)\\1"})", "\\1"},
           {R"({"pattern":"*"})", "nothing to repeat"},
           {R"({"pattern":"a{3,2}"})", "wrong way"},
           {R"({"type":"number","minimum":0.5})", "0.5"},
           {R"({"$ref":"http://example.org/schema"})", "example.org"},
           {R"({"$ref":"#/$defs/none"})", "leads nowhere"},
           {R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})", "nothing can match"},
           {R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})", "refers to itself"},
           {R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})", "nothing can match"},
           {R"({"enum":[]})", "nothing can match"},
           {R"({"type":"string","enum":[1]})", "nothing can match"},
           {R"({"type":"integer","minimum":5,"maximum":4})", "nothing can match"},
           {R"({"minLength":3,"maxLength":2})", "nothing can match"},
           {R"({"minItems":3,"maxItems":2})", "nothing can match"},
           {R"({"required":["b"],"properties":{"a":{}},"additionalProperties":false})", "'b'"},
           {R"({"anyOf":[{"type":"null"}],"type":"null"})", "beside"},
           {R"({"allOf":[{"type":"null"},{}]})", "several schemas"},
           {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "may be valid"},
           {R"({"maxLength":-1})", "maxLength"},
           {R"({"maxLength":1000000000})", "too large"},
           {R"({"maxLength":"3"})", "maxLength"},
           {R"(3)", "no schema"},
       }) {
    try {
      Compiled(schema);
      FAIL() << schema;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(named), std::string::npos)
          << schema << ": " << error.what();
    }
  }
}

}  // namespace
}  // namespace fathom::test
