#include <gtest/gtest.h>

#include <string>

#include "text/jinja/template.h"

namespace fathom::jinja {
namespace {

// What a template prints, what is not trusted in angle quotes. `user` comes from the conversation,
// `model` from the model's files.
std::string Marked(std::string_view source) {
  Data variables = Data::Object();
  variables.Set("user", Data::String("Ab c"));
  variables.Set("spaced", Data::String("  x  "));
  variables.Set("lines", Data::String("a\nb"));
  variables.Set("marks", Data::String("<\"&é"));
  variables.Set("model", Data::String("M", /*trusted=*/true));
  Data object = Data::Object();
  object.Set("key", Data::String("value"));
  variables.Set("object", std::move(object));
  variables.Set("list", Data::Array({Data::String("p"), Data::String("q")}));
  std::string out;
  Template(source, "t").Render(variables).ForEachRun([&](std::string_view piece, bool trusted) {
    out += trusted ? std::string(piece) : "«" + std::string(piece) + "»";
  });
  return out;
}

TEST(JinjaProvenance, TemplatesAndModelsAreTrusted) {
  EXPECT_EQ(Marked("a{{ 'b' }}{{ model }}{{ 1 }}{{ 'x' ~ 2.5 ~ none }}{{ [1, 'y'] }}"),
            "abM1x2.5None[1, 'y']");
}

TEST(JinjaProvenance, WhatTheUserWroteStaysTheUsers) {
  EXPECT_EQ(Marked("<{{ user }}>"), "<«Ab c»>");
  EXPECT_EQ(Marked("{{ '<' + user + '>' }}"), "<«Ab c»>");
  EXPECT_EQ(Marked("{{ '<' ~ user ~ '>' }}"), "<«Ab c»>");
  EXPECT_EQ(Marked("{% set x = '<' + user %}{% set ns = namespace(y=x) %}{{ ns.y }}"), "<«Ab c»");
  EXPECT_EQ(Marked("{% set x %}<{{ user }}>{% endset %}{{ x }}"), "<«Ab c»>");
  EXPECT_EQ(Marked("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(user) }}"), "<«Ab c»>");
  EXPECT_EQ(Marked("{% filter upper %}x{{ user }}{% endfilter %}"), "X«AB C»");
}

TEST(JinjaProvenance, GoesThroughSlicesAndMethods) {
  EXPECT_EQ(Marked("{{ user[0] }}{{ user[1:] }}{{ ('<' + user)[:2] }}{{ (user + '>')[::-1] }}"),
            "«Ab c»<«A»>«c bA»");
  EXPECT_EQ(
      Marked("{{ ('<' + user + '>').split(' ')[0] }}|{{ (user ~ '|x').split('|') | join('+') }}"),
      "<«Ab»|«Ab c»+x");
  EXPECT_EQ(Marked("{{ (' ' + spaced + ' y ').strip() }}"), "«x  » y");
  EXPECT_EQ(Marked("{{ spaced | trim }}{{ user | upper }}{{ user.title() }}{{ user | lower }}"),
            "«xAB CAb Cab c»");
  EXPECT_EQ(Marked("{{ '[user]'.replace('user', user) }}{{ user.replace('b', 'B') }}"),
            "[«Ab c»]«A»B« c»");
  EXPECT_EQ(Marked("{{ ', '.join(list) }}{{ list | join('-') }}"), "«p», «qp»-«q»");
  EXPECT_EQ(Marked("{{ '%s!' % user }}{{ '{}!'.format(user) }}{{ '%5s|' % list[0] }}"),
            "«Ab c»!«Ab c»!    «p»|");
  EXPECT_EQ(Marked("{% for c in user[:2] %}<{{ c }}>{% endfor %}"), "<«A»><«b»>");
  EXPECT_EQ(Marked("{{ lines | indent(1, true) }}"), " «a»\n «b»");
  EXPECT_EQ(Marked("{{ user * 2 }}{{ user | first }}{{ user | reverse }}{{ user | list | last }}"),
            "«Ab cAb cAc bAc»");
  EXPECT_EQ(Marked("{{ ('<' ~ user ~ '>').partition(' ') | join('/') }}"), "<«Ab»/« »/«c»>");
  EXPECT_EQ(Marked("{{ user | default('x') }}{{ nope | default(user) }}{{ user or 'x' }}"),
            "«Ab cAb cAb c»");
}

TEST(JinjaProvenance, GoesThroughWriters) {
  EXPECT_EQ(Marked("{{ object | tojson }}"), "{\"«key»\": \"«value»\"}");
  EXPECT_EQ(Marked("{{ {'k': user, 'm': model} | tojson }}"), "{\"k\": \"«Ab c»\", \"m\": \"M\"}");
  EXPECT_EQ(Marked("{{ marks | tojson }}{{ marks | e }}"), "\"«<\\\"&é»\"«&lt;&#34;&amp;é»");
  EXPECT_EQ(Marked("{{ list }}{{ object }}"), "['«p»', '«q»']{'«key»': '«value»'}");
  EXPECT_EQ(Marked("{% for k, v in object.items() %}{{ k }}={{ v }}{% endfor %}"), "«key»=«value»");
}

}  // namespace
}  // namespace fathom::jinja
