#include "posttrain/distill/trace_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"

namespace fathom::test {
namespace {

Trace Example(const std::string& id) {
  return {.id = id,
          .question = "17",
          .sample = 2,
          .messages = {{"system", "Be \"brief\"."}, {"user", "2 + 2?\n"}},
          .answer = {.reasoning = "Zwei und zwei …",
                     .content = "4",
                     .finish_reason = "stop",
                     .prompt_tokens = 12,
                     .completion_tokens = 34},
          .provenance = {.teacher = "r1",
                         .host = "api.example.com",
                         .time = UtcTime(1767225600),
                         .sampling = {.temperature = 0.6,
                                      .top_p = 0.95,
                                      .top_k = 20,
                                      .max_tokens = 100,
                                      .think = "on",
                                      .seed = 0x7FFFFFFF},
                         .licence = "MIT",
                         .fathom = "0.1.0"}};
}

class TraceLogTest : public testing::Test {
 protected:
  std::string Text() const { return ReadFile(path_); }
  void Put(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_ / "traces.jsonl";
};

TEST_F(TraceLogTest, WhatIsWrittenIsRead) {
  const Trace trace = Example("a-0");
  {
    TraceLog log(path_);
    log.Add(trace);
    // At once, for whoever looks.
    EXPECT_EQ(Text(), TraceLine(trace) + "\n");
  }
  const TraceLog log(path_);
  ASSERT_EQ(log.size(), 1u);
  const Trace* read = log.Find("a-0");
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(TraceLine(*read), TraceLine(trace));
  EXPECT_EQ(read->provenance.sampling, trace.provenance.sampling);
  EXPECT_EQ(read->provenance.time, "2026-01-01T00:00:00Z");
  EXPECT_EQ(log.Find("a-1"), nullptr);
}

TEST_F(TraceLogTest, ALineThatWasCutOffIsAskedForAgain) {
  const std::string whole = TraceLine(Example("a-0")) + "\n";
  const std::string next = TraceLine(Example("a-1")) + "\n";
  for (const size_t left : {size_t{1}, next.size() / 2, next.size() - 1}) {
    Put(whole + next.substr(0, left));
    TraceLog log(path_);
    EXPECT_NE(log.Find("a-0"), nullptr);
    EXPECT_EQ(log.Find("a-1"), nullptr) << left;
    log.Add(Example("a-1"));
    EXPECT_EQ(Text(), whole + next);
  }
}

TEST_F(TraceLogTest, LinesThatAreNoTracesArePassedOver) {
  const std::string a = TraceLine(Example("a-0")), b = TraceLine(Example("b-0"));
  Put(a + "\n" + std::string(40, '\0') + "\n{\"id\": 3}\n\n" + b + "\n");
  const TraceLog log(path_);
  EXPECT_EQ(log.size(), 2u);
  EXPECT_NE(log.Find("b-0"), nullptr);
}

TEST_F(TraceLogTest, CountsThatATeacherDoesNotGiveStayUnknown) {
  Trace trace = Example("a-0");
  trace.answer.prompt_tokens.reset();
  trace.answer.completion_tokens.reset();
  { TraceLog(path_).Add(trace); }
  const TraceLog log(path_);
  EXPECT_FALSE(log.Find("a-0")->answer.completion_tokens.has_value());
}

TEST_F(TraceLogTest, OneRunAtATimeWrites) {
  {
    const TraceLog log(path_);
    try {
      const TraceLog other(path_);
      ADD_FAILURE() << "two have it";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("is being written by another run"),
                std::string::npos);
    }
  }
  const TraceLog log(path_);
}

TEST_F(TraceLogTest, OfTwoWithOneIdTheFirstCounts) {
  Trace second = Example("a-0");
  second.answer.content = "5";
  Put(TraceLine(Example("a-0")) + "\n" + TraceLine(second) + "\n");
  EXPECT_EQ(TraceLog(path_).Find("a-0")->answer.content, "4");
}

}  // namespace
}  // namespace fathom::test
