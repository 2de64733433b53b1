#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "text/jinja/template.h"

namespace fathom::jinja {
namespace {

Limits Small() {
  Limits limits;
  limits.steps = 200'000;
  limits.memory_bytes = size_t{4} << 20;
  limits.output_bytes = size_t{1} << 20;
  return limits;
}

// With more memory than the other limits let a template use.
Limits Roomy() {
  Limits limits = Small();
  limits.memory_bytes = size_t{256} << 20;
  return limits;
}

// The message of the error that stops the template.
std::string Stopped(std::string_view source, const Data& variables = Data::Object(),
                    const Limits& limits = Small()) {
  try {
    Template(source, "t", limits).Render(variables);
  } catch (const Error& error) {
    return error.what();
  }
  return "it ended";
}

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string Repeated(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

// Which limit, in which template, at which line, and what to do.
TEST(JinjaLimits, ErrorsSayWhichWhereAndWhatToDo) {
  const std::string run =
      " (shorten the conversation, or put another template into chat_template.jinja of the model)";
  const std::string read =
      " (no chat template needs so much; put another one into chat_template.jinja of the model)";
  EXPECT_EQ(
      Stopped("\n{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
              Data::Object(), Roomy()),
      "t, line 2: takes more than 200000 steps" + run);
  EXPECT_EQ(Stopped("\n{{ 'x' * 5000000 }}"), "t, line 2: takes more than 4 MiB of memory" + run);
  EXPECT_EQ(Stopped("\n\n{{ 'x' * 1100 * 1000 }}", Data::Object(), Roomy()),
            "t, line 3: writes more than 1048576 bytes" + run);
  EXPECT_EQ(Stopped("{% macro m() %}\n{{ m() }}{% endmacro %}{{ m() }}"),
            "t, line 2: goes more than 600 levels deep" + run);
  EXPECT_EQ(Stopped("{{ range(100001) }}"), "t, line 1: a range has more than 100000 items" + run);
  EXPECT_EQ(Stopped("\n{{ " + Repeated("(", 300) + "1" + Repeated(")", 300) + " }}"),
            "t, line 2: is nested more than 200 deep" + read);
}

TEST(JinjaLimits, LoopsEnd) {
  const std::string nested =
      "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}"
      "{% endfor %}{% endfor %}{% endfor %}";
  EXPECT_TRUE(Has(Stopped(nested), "steps"));
  EXPECT_TRUE(Has(Stopped("{% for a in range(100001) %}{% endfor %}"), "range"));
}

TEST(JinjaLimits, MacrosThatCallThemselvesEnd) {
  EXPECT_TRUE(Has(Stopped("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "levels"));
  EXPECT_TRUE(Has(Stopped("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}"), "levels"));
  EXPECT_TRUE(
      Has(Stopped("{% macro m() %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}"), "levels"));
  EXPECT_TRUE(Has(Stopped("{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}"
                          "{% endmacro %}{{ m(40) }}",
                          Data::Object(), Roomy()),
                  "steps"));
}

TEST(JinjaLimits, MemoryIsBounded) {
  for (const char* source :
       {"{{ 'x' * 1000000000000 }}", "{{ [0] * 1000000000000 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}"
        "{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}"
        "{% endfor %}",
        "{{ '%1000000000d' % 1 }}", "{{ '{:1000000000}'.format(1) }}",
        "{{ 'x'.center(1000000000) }}", "{{ 'x'.zfill(1000000000) }}",
        "{{ '1' | tojson(indent=1000000000) }}", "{{ [[1]] | tojson(indent='x' * 3000000) }}",
        "{{ ('x' * 100000).replace('x', 'y' * 1000) }}",
        "{{ ('x' * 100000).replace('', 'y' * 1000) }}",
        "{{ ('x' * 1000) | list | join('y' * 10000) }}", "{{ ('x\n' * 100000) | indent(1000) }}",
        "{{ ('x' * 1000000) | list }}", "{{ ('x' * 2000000).split('x') }}",
        "{{ ('&' * 1000000) | e }}"}) {
    const std::string error = Stopped(source);
    EXPECT_TRUE(Has(error, "memory") || Has(error, "large") || Has(error, "steps") ||
                Has(error, "wide"))
        << source << ": " << error;
  }
}

TEST(JinjaLimits, OutputIsBounded) {
  EXPECT_TRUE(Has(Stopped("{{ 'x' * 1100 * 1000 }}", Data::Object(), Roomy()), "writes more"));
  EXPECT_TRUE(Has(Stopped("{% set s = 'x' * 10000 %}{% for i in range(1000) %}{{ s }}{% endfor %}",
                          Data::Object(), Roomy()),
                  "writes more"));
}

TEST(JinjaLimits, ValuesThatHoldEachOtherManyTimesEnd) {
  const std::string dag =
      "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% endfor %}";
  for (const char* use : {"{{ ns.x }}", "{{ ns.x | tojson }}",
                          "{% set ns.y = [1] %}{% for i in range(60) %}{% set ns.y = [ns.y, ns.y] "
                          "%}{% endfor %}{{ ns.x == ns.y }}",
                          "{% set ns.y = [1] %}{% for i in range(60) %}{% set ns.y = [ns.y, ns.y] "
                          "%}{% endfor %}{{ ns.x < ns.y }}"}) {
    const std::string error = Stopped(dag + use);
    EXPECT_TRUE(Has(error, "steps") || Has(error, "memory")) << use << ": " << error;
  }
}

TEST(JinjaLimits, DeepValuesAreNotWalkedToTheBottom) {
  const std::string deep =
      "{% set ns = namespace(x=[], y=[], t=()) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}"
      "{% set ns.y = [ns.y] %}{% set ns.t = (ns.t,) %}{% endfor %}";
  for (const char* use : {"{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x == ns.y }}",
                          "{{ ns.x < ns.y }}", "{{ {ns.t: 1} }}", "{{ ns.x | string }}"}) {
    EXPECT_TRUE(Has(Stopped(deep + use, Data::Object(), Roomy()), "levels")) << use;
  }
}

TEST(JinjaLimits, ANamespaceMayHoldItself) {
  EXPECT_TRUE(Has(Stopped("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"), "levels"));
  EXPECT_EQ(Stopped("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns.x.x.x is defined }}"),
            "it ended");
}

TEST(JinjaLimits, TheTreeIsNotTooHigh) {
  for (const auto& [open, middle, close] :
       std::vector<std::tuple<std::string, std::string, std::string>>{{"(", "1", ")"},
                                                                      {"[", "1", "]"},
                                                                      {"-", "1", ""},
                                                                      {"not ", "1", ""},
                                                                      {"{1:", "1", "}"},
                                                                      {"x[", "1", "]"},
                                                                      {"f(", "1", ")"},
                                                                      {"", "x", ".a"},
                                                                      {"", "x", "|f"},
                                                                      {"", "1", "+1"},
                                                                      {"", "1", " or 1"},
                                                                      {"", "1", "**1"},
                                                                      {"", "1", " if 1 else 1"},
                                                                      {"", "x", "[0]"},
                                                                      {"", "x", "()"},
                                                                      {"1 is in ", "1", ""}}) {
    const std::string source =
        "{{ " + Repeated(open, 50'000) + middle + Repeated(close, 50'000) + " }}";
    EXPECT_TRUE(Has(Stopped(source), "nested")) << open << middle << close;
  }
  for (const char* tag : {"{% if 1 %}", "{% for x in y %}", "{% macro m() %}", "{% set x %}",
                          "{% filter f %}", "{% with %}", "{% call f() %}", "{% generation %}"}) {
    EXPECT_TRUE(Has(Stopped(Repeated(tag, 20'000)), "nested")) << tag;
  }
  EXPECT_TRUE(
      Has(Stopped("{% set x = " + Repeated("(", 100'000) + "1" + Repeated(")", 100'000) + " %}"),
          "nested"));
  EXPECT_TRUE(Has(Stopped("{{ '" + std::string(2 << 20, 'x') + "' }}"), "bytes"));
}

TEST(JinjaLimits, WideTemplatesAreFine) {
  EXPECT_EQ(Stopped("{% if 0 %}" + Repeated("{% elif 0 %}", 2000) + "{% endif %}"), "it ended");
  EXPECT_EQ(Stopped("{{ [" + Repeated("1,", 20'000) + "] | length }}"), "it ended");
  EXPECT_EQ(Stopped("{{ 1 " + Repeated("~ 1", 5'000) + " }}"), "it ended");
}

// Searches that are quadratic when done naively: a text of one letter, and one of half its length
// that is not in it.
TEST(JinjaLimits, SearchesAreLinear) {
  Data variables = Data::Object();
  variables.Set("text", Data::String(std::string(500'000, 'a')));
  variables.Set("wanted", Data::String(std::string(100'000, 'a') + "b"));
  variables.Set("mirrored", Data::String("b" + std::string(100'000, 'a')));
  for (const char* use : {"{{ wanted in text }}", "{{ mirrored in text }}",
                          "{{ text.find(wanted) }}", "{{ text.rfind(wanted) }}",
                          "{{ text.rfind(mirrored) }}", "{{ text.split(wanted) | length }}",
                          "{{ text.rsplit(mirrored) | length }}", "{{ text.count(wanted) }}",
                          "{{ text.replace(wanted, '') | length }}", "{{ text.strip(wanted) }}"}) {
    EXPECT_EQ(Stopped(use, variables), "it ended") << use;
  }
}

TEST(JinjaLimits, InputCountsToo) {
  Data variables = Data::Object();
  variables.Set("text", Data::String(std::string(size_t{5} << 20, 'a')));
  EXPECT_TRUE(Has(Stopped("x", variables), "memory"));
}

}  // namespace
}  // namespace fathom::jinja
