#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "text/byte_level.h"
#include "text/text_golden.h"

namespace fathom {
namespace {

std::string Written(const BpeModel& model, int32_t id) {
  const VocabularyToken& token = model.tokens()[id];
  return token.kind == VocabularyToken::Kind::kBytes ? BytesToPrintable(token.bytes) : token.bytes;
}

std::vector<std::string> WrittenMerges(const BpeModel& model) {
  std::vector<std::string> merges;
  for (const Merge& merge : model.merges()) {
    merges.push_back(Written(model, merge.left) + " " + Written(model, merge.right));
  }
  return merges;
}

TEST(BpeTrainer, LearnsTheMostFrequentPairThenTheLowestIds) {
  WordCounts words;
  words.Add("ab", 3);
  words.Add("cd", 3);
  words.Add("xab", 2);
  words.Add("yz", 1);
  BpeTrainerOptions options;
  options.vocab_size = 1000;
  options.special_tokens.clear();
  // ab 5; cd 3; x+ab 2; yz is too rare.
  EXPECT_EQ(WrittenMerges(TrainBpe(words, options)),
            (std::vector<std::string>{"a b", "c d", "x ab"}));
  options.vocab_size = 257;
  EXPECT_EQ(WrittenMerges(TrainBpe(words, options)), std::vector<std::string>{"a b"});

  WordCounts equal;
  equal.Add("zb", 2);
  equal.Add("bz", 2);
  options.vocab_size = 258;
  EXPECT_EQ(WrittenMerges(TrainBpe(equal, options)), (std::vector<std::string>{"b z", "z b"}));
}

TEST(BpeTrainer, NumbersSpecialTokensThenBytesThenMerges) {
  WordCounts words;
  words.Add("ab", 2);
  BpeTrainerOptions options;
  const BpeModel model = TrainBpe(words, options);
  const auto special = DeepSeekSpecialTokens();
  ASSERT_EQ(model.tokens().size(), special.size() + 256 + 1);
  for (size_t id = 0; id < special.size(); ++id) EXPECT_EQ(Written(model, id), special[id].content);
  EXPECT_EQ(Written(model, special.size()), "!");  // the first printable character
  EXPECT_EQ(Written(model, special.size() + 255), "Ń");
  EXPECT_EQ(Written(model, special.size() + 256), "ab");
}

TEST(BpeTrainer, MergesAreTheOriginals) {
  const JsonDocument golden(GoldenText("trainer.json"), "trainer.json");
  const auto texts = StringsOf(golden.root().At("documents"));
  const std::vector<std::string_view> documents(texts.begin(), texts.end());
  for (const JsonValue& run : golden.root().At("runs").Array()) {
    BpeTrainerOptions options;
    options.vocab_size = run.At("vocab_size").Int();
    options.min_frequency = run.At("min_frequency").Int();
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      const Tokenizer tokenizer =
          TrainTokenizer(PreTokenizer::DeepSeekV3(), documents, options, pool);
      EXPECT_EQ(WrittenMerges(tokenizer.model()), StringsOf(run.At("merges")));
      std::vector<std::string> tokens;
      for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
        tokens.push_back(Written(tokenizer.model(), id));
      }
      EXPECT_EQ(tokens, StringsOf(run.At("tokens")));
    }
  }
}

TEST(BpeTrainer, RefusesATooSmallVocabulary) {
  BpeTrainerOptions options;
  options.vocab_size = 265;  // 10 special tokens and 256 bytes are 266
  EXPECT_THROW(TrainBpe(WordCounts(), options), Error);
  options.vocab_size = 266;
  EXPECT_EQ(TrainBpe(WordCounts(), options).tokens().size(), 266u);
}

TEST(WordCounts, CountsEveryWordOnce) {
  const std::vector<std::string_view> documents = {"the cat", " the", "", "the\xFF the"};
  const std::string giant(100'000, 'x');
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    WordCounts counts = CountWords(PreTokenizer::DeepSeekV3(), documents, pool);
    counts.Add(giant);
    counts.Add("cat");
    std::vector<std::pair<std::string, int64_t>> words;
    for (const auto& word : counts.words()) words.emplace_back(word.bytes, word.count);
    std::sort(words.begin(), words.end());
    EXPECT_EQ(words,
              (std::vector<std::pair<std::string, int64_t>>{
                  {" cat", 1}, {" the", 2}, {"cat", 1}, {"the", 2}, {giant, 1}, {"\uFFFD", 1}}));
  }
}

}  // namespace
}  // namespace fathom
