#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/json.h"
#include "text/jinja/template.h"
#include "text/text_golden.h"

namespace fathom::jinja {
namespace {

std::string Render(std::string_view source, const Data& variables = Data::Object()) {
  return Template(source, "template").Render(variables).bytes();
}

std::string ErrorOf(std::string_view source, const Data& variables = Data::Object()) {
  try {
    Render(source, variables);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Templates that use every construct, rendered by Python's Jinja in transformers' settings; null
// where it refuses.
TEST(Jinja, RendersWhatPythonRenders) {
  const std::string text = GoldenText("chat_jinja.json");
  const JsonDocument golden(text, "chat_jinja.json");
  const Data variables = Data::FromJson(golden.root().At("variables"));
  const int64_t now = golden.root().At("now").Int();
  int rendered = 0, refused = 0;
  for (const JsonValue& item : golden.root().At("cases").Array()) {
    const std::vector<JsonValue> parts = item.Array();
    const std::string source(parts[0].String());
    if (parts[1].IsNull()) {
      EXPECT_THROW(Template(source, "template").Render(variables, now), Error) << source;
      ++refused;
    } else {
      EXPECT_EQ(Template(source, "template").Render(variables, now).bytes(), parts[1].String())
          << source;
      ++rendered;
    }
  }
  EXPECT_GT(rendered, 100);
  EXPECT_GT(refused, 80);
}

TEST(Jinja, ErrorsNameTheLine) {
  EXPECT_EQ(ErrorOf("a\n\n{{ x.y }}"), "template, line 3: 'x' is undefined");
  EXPECT_EQ(ErrorOf("{% if x %}\n{{ ( }}"), "template, line 2: unexpected '}'");
  EXPECT_EQ(ErrorOf("\n{{ raise_exception('no ' ~ 1) }}"), "template, line 2: no 1");
  EXPECT_EQ(ErrorOf("{% for x in y %}\n\n"),
            "template, line 2: the template ends where 'endfor' or 'else' is missing");
  EXPECT_EQ(ErrorOf("{% include 'file' %}"),
            "template, line 1: 'include' is not available in templates of models");
}

// Python makes an object of such a slice, with which nothing can be looked up. (Found by fuzzing.)
TEST(Jinja, ASliceBesideOtherKeysIsAnError) {
  for (const char* source : {"{{ x[1:2, 3] }}", "{{ x[::, 1] }}", "{{ x[0, 1:] }}"}) {
    EXPECT_EQ(ErrorOf(source), "template, line 1: a slice beside other keys selects nothing")
        << source;
  }
}

TEST(Jinja, IntegersHave64Bits) {
  EXPECT_EQ(Render("{{ 9223372036854775806 + 1 }}"), "9223372036854775807");
  EXPECT_EQ(Render("{{ -9223372036854775807 - 1 }}"), "-9223372036854775808");
  for (const char* source :
       {"{{ 9223372036854775807 + 1 }}", "{{ 9223372036854775808 }}", "{{ 2 ** 63 }}",
        "{{ 3037000500 * 3037000500 }}", "{{ -(-9223372036854775807 - 1) }}",
        "{{ (-9223372036854775807 - 1) // -1 }}", "{{ (-9223372036854775807 - 1) | abs }}",
        "{{ 1e300 | int }}", "{{ '99999999999999999999' | int }}", "{{ '%d' % 1e300 }}"}) {
    EXPECT_THROW(Render(source), Error) << source;
  }
  EXPECT_EQ(Render("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
}

TEST(Jinja, IllFormedUtf8InATemplateIsReplaced) {
  EXPECT_EQ(Render("a\xFF{{ '\xC3' }}"), "a\uFFFD\uFFFD");
  EXPECT_EQ(Render("{{ '\\ud83d\\ude00' }}{{ '\\ud83d' }}"), "😀\uFFFD");
}

TEST(Jinja, SeesNothingButItsData) {
  // What has led from templates into Python elsewhere: all of it is undefined here.
  for (const char* source :
       {"{{ ''.__class__ }}", "{{ x.__class__ }}", "{{ namespace.__init__ }}", "{{ range.mro }}",
        "{{ self }}", "{{ cycler }}", "{{ lipsum }}", "{{ request }}", "{{ config }}"}) {
    EXPECT_EQ(Render(source,
                     [] {
                       Data variables = Data::Object();
                       variables.Set("x", Data::Array());
                       return variables;
                     }()),
              "")
        << source;
  }
}

TEST(Jinja, ATemplateCanBeRenderedAgain) {
  const Template source("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + x %}{{ ns.n }}", "t");
  for (const int64_t x : {1, 2, 1}) {
    Data variables = Data::Object();
    variables.Set("x", Data::Int(x));
    EXPECT_EQ(source.Render(variables).bytes(), std::to_string(x));
  }
}

}  // namespace
}  // namespace fathom::jinja
