#include "base/toml/toml_reader.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

// A table whose text and overrides live as long as it does.
struct Parsed {
  explicit Parsed(std::string_view text, const std::vector<std::string>& overrides = {})
      : toml(ParseToml(text, "run.toml", overrides)), table(&toml, "run.toml") {}
  toml::table toml;
  TomlTable table;
};

TEST(TomlTable, ReadsEveryKindOrItsFallback) {
  Parsed p(
      "text = 'a'\ncount = -3\nratio = 0.25\nwhole = 2\nflag = true\nlist = ['x', '']\n"
      "[part]\nn = 7\n[[stage]]\nn = 1\n[[stage]]\nn = 2\n");
  TomlTable& t = p.table;
  EXPECT_EQ(t.String("text", "z"), "a");
  EXPECT_EQ(t.String("no_text", "z"), "z");
  EXPECT_EQ(t.OptionalString("no_text"), std::nullopt);
  EXPECT_EQ(t.Int("count", 5, -10), -3);
  EXPECT_EQ(t.Int("no_count", 5, 0), 5);
  EXPECT_EQ(t.Number("ratio", 1, 0, 1), 0.25);
  EXPECT_EQ(t.Number("whole", 1, 0, 10), 2);  // an integer is a number
  EXPECT_EQ(t.Number("no_ratio", 0.5, 0, 1), 0.5);
  EXPECT_TRUE(t.Bool("flag", false));
  EXPECT_TRUE(t.Bool("no_flag", true));
  EXPECT_EQ(t.Strings("list", {}), (std::vector<std::string>{"x", ""}));
  EXPECT_EQ(t.Strings("no_list", {"f"}), std::vector<std::string>{"f"});
  TomlTable part = t.Table("part");
  EXPECT_EQ(part.Int("n", 0, 0), 7);
  part.Finish();
  EXPECT_EQ(t.Table("no_part").Int("n", 4, 0), 4);
  std::vector<TomlTable> stages = t.Tables("stage");
  ASSERT_EQ(stages.size(), 2);
  EXPECT_EQ(stages[0].Int("n", 0, 0), 1);
  EXPECT_EQ(stages[1].Int("n", 0, 0), 2);
  EXPECT_TRUE(t.Tables("no_stage").empty());
  t.Finish();
}

TEST(TomlTable, WrongKindsAreNamedWithWhatWasFound) {
  Parsed p("s = 'text'\ni = 3\nd = 1.5\nb = true\na = [1]\n[t]\nx = 1\n");
  TomlTable& t = p.table;
  EXPECT_ERROR(t.String("i", ""), "run.toml: i: expected a string, found 3");
  EXPECT_ERROR(t.Int("d", 0, 0), "expected an integer, found 1.5");
  EXPECT_ERROR(t.Int("s", 0, 0), "expected an integer, found 'text'");
  EXPECT_ERROR(t.Number("s", 0, 0, 1), "expected a number");
  EXPECT_ERROR(t.Number("b", 0, 0, 1), "expected a number");
  EXPECT_ERROR(t.Bool("i", false), "expected true or false, found 3");
  EXPECT_ERROR(t.Strings("s", {}), "expected an array of strings");
  EXPECT_ERROR(t.Strings("a", {}), "expected an array of strings");
  EXPECT_ERROR(t.Table("i"), "expected a table");
  EXPECT_ERROR(t.Tables("t"), "expected an array of tables");
  EXPECT_ERROR(t.Tables("a"), "expected an array of tables");
  // What was found is shown in one line, however long it is.
  try {
    t.String("t", "");
    ADD_FAILURE() << "no Error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

TEST(TomlTable, RangesIncludeTheirEnds) {
  Parsed p("n = 5\nx = 0.5\nnot = nan\ninfinite = inf\n");
  TomlTable& t = p.table;
  EXPECT_EQ(t.Int("n", 0, 5, 5), 5);
  EXPECT_ERROR(t.Int("n", 0, 6), "run.toml: n: 5 is out of range");
  EXPECT_ERROR(t.Int("n", 0, 0, 4), "5 is out of range [0, 4]");
  EXPECT_EQ(t.Number("x", 0, 0.5, 0.5), 0.5);
  EXPECT_ERROR(t.Number("x", 0, 0.6, 1), "0.5 is out of range [0.6, 1]");
  EXPECT_ERROR(t.Number("not", 0, -1e300, 1e300), "out of range");
  EXPECT_ERROR(t.Number("infinite", 0, -1e300, 1e300), "out of range");
}

TEST(TomlTable, ChoicesListWhatThereIs) {
  Parsed p("type = 'cosin'\n");
  EXPECT_ERROR(p.table.Choice("type", "wsd", {"wsd", "cosine"}),
               "run.toml: type: 'cosin' is not one of wsd, cosine");
  EXPECT_EQ(p.table.Choice("absent", "wsd", {"wsd", "cosine"}), "wsd");
}

TEST(TomlTable, AnUnknownKeyNamesTheNearest) {
  Parsed p("[optimizer]\nwieght_decay = 1\n");
  TomlTable optimizer = p.table.Table("optimizer");
  optimizer.Number("weight_decay", 0, 0, 1);
  optimizer.Number("lr", 0, 0, 1);
  EXPECT_ERROR(optimizer.Finish(), "run.toml: optimizer.wieght_decay");
  EXPECT_ERROR(optimizer.Finish(), "did you mean 'optimizer.weight_decay'?");
}

TEST(TomlTable, AnUnknownKeyLikeNoOtherGetsTheListOfKnownOnes) {
  Parsed p("colour = 'green'\n");
  p.table.Int("steps", 0, 0);
  p.table.Int("seed", 0, 0);
  EXPECT_ERROR(p.table.Finish(), "known here: seed, steps");
}

TEST(TomlTable, RequiredKeysAreRequired) {
  Parsed p("a = 1\n");
  p.table.Require("a");
  EXPECT_ERROR(p.table.Require("b"), "run.toml: b: is missing");
}

TEST(ParseToml, SyntaxErrorsHaveFileLineAndColumn) {
  EXPECT_ERROR(ParseToml("a = 1\nb = = 2\n", "run.toml", {}), "run.toml:2:");
  EXPECT_ERROR(ParseToml("a = 1\na = 2\n", "run.toml", {}), "run.toml:2:");
}

TEST(ParseToml, OverridesReplaceAndAdd) {
  Parsed p("steps = 10\n[optimizer]\nlr = 0.1\nbeta1 = 0.5\n",
           {"steps=20", "optimizer.lr=1e-3", "model.preset=nano", "schedule.type='wsd'",
            "quoted=\"a b\"", "precision.recompute=true", "data.list=['a', 'b']", "path=/a/b c.txt",
            "empty=", "equals=a=b"});
  TomlTable& t = p.table;
  EXPECT_EQ(t.Int("steps", 0, 0), 20);
  TomlTable optimizer = t.Table("optimizer");
  EXPECT_EQ(optimizer.Number("lr", 0, 0, 1), 1e-3);
  EXPECT_EQ(optimizer.Number("beta1", 0, 0, 1), 0.5);  // its neighbours stay
  EXPECT_EQ(t.Table("model").String("preset", ""), "nano");
  EXPECT_EQ(t.Table("schedule").String("type", ""), "wsd");
  EXPECT_EQ(t.String("quoted", ""), "a b");
  EXPECT_TRUE(t.Table("precision").Bool("recompute", false));
  EXPECT_EQ(t.Table("data").Strings("list", {}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(t.String("path", ""), "/a/b c.txt");
  EXPECT_EQ(t.String("empty", "x"), "");
  EXPECT_EQ(t.String("equals", ""), "a=b");
}

TEST(ParseToml, OverridesReachIntoLists) {
  const std::string_view text =
      "[[data.source]]\npath = 'a'\nweight = 1\n[[data.source]]\npath = 'b'\nweight = 2\n"
      "[data.source.more]\nx = 1\n[[data.source.part]]\ny = 1\n";
  Parsed p(text, {"data.source[0].path=nope", "data.source[1].weight=3", "data.source[1].more.x=7",
                  "data.source[1].part[0].y=9"});
  std::vector<TomlTable> sources = p.table.Table("data").Tables("source");
  ASSERT_EQ(sources.size(), 2);
  EXPECT_EQ(sources[0].String("path", ""), "nope");
  EXPECT_EQ(sources[0].Int("weight", 0, 0), 1);  // its neighbours stay
  EXPECT_EQ(sources[1].String("path", ""), "b");
  EXPECT_EQ(sources[1].Int("weight", 0, 0), 3);
  EXPECT_EQ(sources[1].Table("more").Int("x", 0, 0), 7);
  EXPECT_EQ(sources[1].Tables("part")[0].Int("y", 0, 0), 9);

  const auto refused = [&](const char* override, const char* message) {
    EXPECT_ERROR(ParseToml(text, "run.toml", {override}), message);
    EXPECT_THROW(ParseToml(text, "run.toml", {override}), UsageError);
  };
  refused("data.source[2].path=x", "there is no data.source[2]");
  refused("data.source[2].path=x", "the file has 2 of them, counted from 0");
  refused("data.sources[0].path=x", "the file has no such list");
  refused("data.source[0].path[0].x=1", "the file has no such list");
  for (const char* wrong : {"data.source[-1].path=x", "data.source[].path=x", "data.source[0]=x",
                            "data.source[0]path=x", "data.source[0].=x", "[0].path=x",
                            "data.source[0x].path=x", "data.source[0.path=x"}) {
    refused(wrong, "is not KEY=VALUE");
  }
}

TEST(ParseToml, TheLastOverrideOfAKeyWins) {
  Parsed p("", {"steps=1", "steps=2"});
  EXPECT_EQ(p.table.Int("steps", 0, 0), 2);
}

TEST(ParseToml, ABareWordMayHoldQuotes) {
  Parsed p("", {"prompt=it's", "three=a'''b"});
  EXPECT_EQ(p.table.String("prompt", ""), "it's");
  EXPECT_EQ(p.table.String("three", ""), "a'''b");
}

TEST(ParseToml, AnOverrideIsOneKey) {
  EXPECT_ERROR(ParseToml("", "run.toml", {"steps"}), "'steps' is not KEY=VALUE");
  EXPECT_ERROR(ParseToml("", "run.toml", {"=3"}), "'=3' is not KEY=VALUE");
  EXPECT_ERROR(ParseToml("", "run.toml", {"a b=3"}), "--set");
  EXPECT_ERROR(ParseToml("", "run.toml", {"a..b=3"}), "--set");
  EXPECT_ERROR(ParseToml("", "run.toml", {"="}), "--set");
  // A line break does not smuggle in a second key.
  Parsed p("", {"a=1\nb=2"});
  EXPECT_EQ(p.table.String("a", ""), "1\nb=2");
  p.table.Finish();
  EXPECT_THROW(ParseToml("", "run.toml", {"steps"}), UsageError);
  EXPECT_THROW(ParseToml("", "run.toml", {"a b=3"}), UsageError);
}

}  // namespace
}  // namespace fathom
