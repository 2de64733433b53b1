#include "posttrain/reward_model/scored_texts.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "ops/test_tensors.h"
#include "posttrain/chat_model.h"
#include "train/trainer_fixture.h"

namespace fathom::test {
namespace {

class ScoredTexts : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    spdlog::set_level(spdlog::level::err);
    pretrained_ = std::make_unique<TemporaryDirectory>();
    WriteLanguage(*pretrained_ / "texts", 10, 40);
    RunPretraining(TinyRun(pretrained_->path(), {"steps=1"}));
  }
  static void TearDownTestSuite() { pretrained_.reset(); }

  ScoredRow Read(const std::string& text, ScoreKind kind = ScoreKind::kPairwise) const {
    return ReadScoredRow(JsonDocument(text, "rows.jsonl:3").root(), kind, encoder_);
  }

  static inline std::unique_ptr<TemporaryDirectory> pretrained_;
  TemporaryDirectory directory_;
  ChatModel model_ = ChatModel::Open(*pretrained_ / "run/model");
  ScoredTextEncoder encoder_{model_.chat, model_.tokenizer};
};

TEST_F(ScoredTexts, EveryFormOfARowIsTheSameConversation) {
  const ScoredRow plain = Read(R"({"prompt": "why?", "chosen": "so", "rejected": "no", "x": 1})");
  ASSERT_EQ(plain.texts.size(), 2);
  EXPECT_EQ(plain.value, 0);
  // The prompt as the model is asked it, the answer, and the token that ends it.
  const ChatMessage question[] = {{.role = "user", .content = "why?"}};
  std::vector<int32_t> expected = model_.chat.Encode(model_.tokenizer, question, {.think = false});
  const std::string text = model_.tokenizer.Decode(plain.texts[0]);
  ASSERT_GT(plain.texts[0].size(), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), plain.texts[0].begin()));
  EXPECT_NE(text.find("so"), std::string::npos);
  EXPECT_EQ(std::count(model_.stop_ids.begin(), model_.stop_ids.end(), plain.texts[0].back()), 1);
  EXPECT_NE(plain.texts[0], plain.texts[1]);

  const char* same[] = {
      // TRL's with messages, and with the prompt under another name.
      R"({"prompt": [{"role": "user", "content": "why?"}],
          "chosen": [{"role": "assistant", "content": "so"}],
          "rejected": [{"role": "assistant", "content": "no"}]})",
      R"({"messages": [{"role": "user", "content": "why?"}], "chosen": "so", "rejected": "no"})",
      // UltraFeedback's: whole conversations, the prompt beside them.
      R"({"prompt": "why?",
          "chosen": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "so"}],
          "rejected": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "no"}],
          "margin": 0.25})"};
  for (const char* row : same) EXPECT_EQ(Read(row).texts, plain.texts) << row;
  EXPECT_EQ(Read(same[2]).value, 0.25);

  for (const char* row : {R"({"prompt": "why?", "completion": "so", "label": 1})",
                          R"({"prompt": "why?", "completion": "so", "safe": true})",
                          R"({"messages": [{"role": "user", "content": "why?"},
                               {"role": "assistant", "content": "so"}], "label": true})"}) {
    const ScoredRow single = Read(row, ScoreKind::kPointwise);
    EXPECT_EQ(single.texts, std::vector<std::vector<int32_t>>{plain.texts[0]}) << row;
    EXPECT_EQ(single.value, 1) << row;
  }
}

TEST_F(ScoredTexts, WhatIsMissingIsNamed) {
  EXPECT_ERROR(Read(R"({"prompt": "why?", "chosen": "so"})"), "rejected");
  EXPECT_ERROR(Read(R"({"chosen": "so", "rejected": "no"})"), "has no 'prompt'");
  EXPECT_ERROR(Read(R"({"prompt": "why?", "chosen": [], "rejected": "no"})"), "empty list");
  EXPECT_ERROR(Read(R"({"prompt": "a", "rejected": "b",
                        "chosen": [{"role": "user", "content": "c"}]})"),
               "does not end with an answer");
  EXPECT_ERROR(Read(R"({"prompt": "a", "chosen": "b", "rejected": "c", "margin": "wide"})"),
               "margin");
  const auto single = [&](const char* row) { Read(row, ScoreKind::kPointwise); };
  EXPECT_ERROR(single(R"({"prompt": "why?", "completion": "so"})"), "label");
  EXPECT_ERROR(single(R"({"prompt": "why?", "completion": "so", "label": 2})"), "2 is no label");
  EXPECT_ERROR(single(R"({"prompt": "why?", "label": 1})"), "rows.jsonl:3");
}

TEST_F(ScoredTexts, RowsComeOutOfAStoreAsTheyWentIn) {
  std::string text;
  for (int i = 0; i < 30; ++i) {
    text += nlohmann::json({{"prompt", std::string(static_cast<size_t>(i % 5), 'q')},
                            {"chosen", std::string(static_cast<size_t>(1 + i % 7), 'a')},
                            {"rejected", std::string(static_cast<size_t>(1 + i % 4), 'b')},
                            {"margin", 0.125 * i - 1}})
                .dump() +
            "\n";
  }
  WriteFileAtomically(directory_ / "pairs.jsonl", text);
  TestRun run(CreateCpuBackend(), 2);
  const SourceSpec spec{.path = directory_ / "pairs.jsonl", .extensions = {".jsonl"}};
  const ScoredRowEncoder encoder(encoder_, ScoreKind::kPairwise, model_.config.vocab_size,
                                 {.row = 64, .text = 64});
  const RowCorpus corpus =
      MakeRowCorpus(spec, encoder, {}, directory_ / "store", "reading", *run.context().pool, true);
  ASSERT_EQ(corpus.train->documents() + corpus.too_long, 30);
  ASSERT_EQ(corpus.too_long, 0);
  std::istringstream lines(text);
  std::string line;
  for (uint64_t i = 0; std::getline(lines, line); ++i) {
    const ScoredRow expected = Read(line), found = ReadScoredDocument(*corpus.train, i);
    EXPECT_EQ(found.texts, expected.texts);
    EXPECT_EQ(found.value, expected.value);
  }

  // In rows, every example is where its texts end.
  const ScoredLayout layout;
  PackedDocumentRows rows(layout, {{.store = corpus.train}}, {.sequence_length = 64, .seed = 1});
  TokenRows batch;
  rows.Read(0, static_cast<int64_t>(rows.RowsOf(1)), batch);
  EXPECT_EQ(batch.examples.size(), 30);
  for (const ScoredExample& example : batch.examples) {
    for (const int64_t end : {example.end, example.worse_end}) {
      EXPECT_EQ(batch.Target(0, example.row, end), 0);
      EXPECT_EQ(
          std::count(model_.stop_ids.begin(), model_.stop_ids.end(), batch.Token(example.row, end)),
          1);
    }
  }
  EXPECT_EQ(std::count(batch.targets.begin(), batch.targets.end(), 0), 60);

  const ScoredRowEncoder narrow(encoder_, ScoreKind::kPairwise, model_.config.vocab_size,
                                {.row = 64, .text = 3});
  EXPECT_EQ(
      narrow
          .Encode(JsonDocument(R"({"prompt": "", "chosen": "aaaaaaaa", "rejected": "b"})", "row")
                      .root())
          .too_long,
      1);
}

}  // namespace
}  // namespace fathom::test
