#include "data/token_corpus.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>

#include "base/error.h"
#include "data/parallel_encoder.h"
#include "data/test_corpus.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

// Bytes as tokens.
void EncodeBytes(std::string_view text, std::vector<int32_t>& ids) {
  ids.clear();
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
}

std::string Decode(const TokenStore& store, uint64_t document) {
  std::vector<int32_t> ids(store.DocumentTokens(document));
  store.Copy(document, 0, ids.size(), ids.data());
  return std::string(ids.begin(), ids.end());
}

class TokenCorpusTest : public testing::Test {
 protected:
  TokenCorpusTest() {
    for (int i = 0; i < 60; ++i) {
      const std::string name = "file" + std::to_string(i) + ".txt";
      PutFile(text_ / name, "text of " + name + " " + std::string(static_cast<size_t>(i * i), '.'));
    }
    std::string lines;
    for (int i = 0; i < 60; ++i) lines += "{\"text\": \"line " + std::to_string(i) + "\"}\n";
    PutFile(text_ / "lines.jsonl", lines);
    // Longer than a piece.
    std::string large;
    while (large.size() < 3 * ParallelEncoder::kPieceBytes) {
      large += "large " + std::to_string(large.size() * 31 % 1009) + ";\n";
    }
    PutFile(text_ / "large.txt", large);
  }

  TokenCorpus Make(int threads = 2) {
    ThreadPool pool(threads);
    return MakeTokenCorpus(spec_, held_out_, tokenizer_, out_ / "corpus", pool, true);
  }

  TemporaryDirectory text_, out_;
  SourceSpec spec_{text_.path()};
  HeldOutOptions held_out_{0.2, 5};
  std::atomic<int> calls_ = 0;
  TokenizerInfo tokenizer_{[this](std::string_view text, std::vector<int32_t>& ids) {
                             ++calls_;
                             EncodeBytes(text, ids);
                           },
                           256, 77};
};

TEST_F(TokenCorpusTest, HoldsEveryDocumentOnceInOrderAndApart) {
  const TokenCorpus corpus = Make();
  std::vector<std::string> train, held_out;
  for (const ReadDocument& document : ReadAll(spec_))
    (IsHeldOut(document.name, 5, 0.2) ? held_out : train).push_back(document.text);
  ASSERT_GT(held_out.size(), 5u);
  const auto expect = [](const TokenStore& store, const std::vector<std::string>& expected) {
    ASSERT_EQ(store.documents(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(Decode(store, i), expected[i]);
      EXPECT_EQ(store.DocumentBytes(i), expected[i].size());
    }
    store.Verify([](uint64_t) {});
  };
  expect(*corpus.train, train);
  expect(*corpus.held_out, held_out);
  EXPECT_EQ(corpus.name, text_.path().string());
}

TEST_F(TokenCorpusTest, IsTheSameWhateverTheThreads) {
  std::set<std::map<std::string, std::string>> made;
  for (const int threads : {1, 2, 3, 7}) {
    Make(threads);
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(out_ / "corpus"))
      files[entry.path().filename().string()] = ReadFile(entry.path());
    EXPECT_EQ(files.size(), 5u);
    made.insert(files);
    fs::remove_all(out_ / "corpus");
  }
  EXPECT_EQ(made.size(), 1u);
}

TEST_F(TokenCorpusTest, IsUsedAgainUntilSomethingChanges) {
  Make();
  const auto remade = [&] {
    calls_ = 0;
    Make();
    return calls_ > 0;
  };
  EXPECT_FALSE(remade());
  const fs::path file = text_ / "file3.txt";
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(2));
  EXPECT_TRUE(remade());
  PutFile(text_ / "new.txt", "a new one");
  EXPECT_TRUE(remade());
  fs::remove(text_ / "new.txt");
  EXPECT_TRUE(remade());
  held_out_.seed = 6;
  EXPECT_TRUE(remade());
  tokenizer_.fingerprint = 78;
  EXPECT_TRUE(remade());
  tokenizer_.vocabulary = 300;
  EXPECT_TRUE(remade());
  spec_.strip_license_header = true;
  EXPECT_TRUE(remade());
  spec_.weight = 3;  // decides nothing here
  EXPECT_FALSE(remade());
}

TEST_F(TokenCorpusTest, ADamagedOneIsMadeAgain) {
  Make();
  const auto expect_remade = [&](const char* name, const std::string& damaged) {
    SCOPED_TRACE(name);
    const fs::path path = out_ / "corpus" / name;
    const std::string whole = ReadFile(path);
    PutFile(path, damaged);
    calls_ = 0;
    Make();
    EXPECT_GT(calls_, 0);
    EXPECT_EQ(ReadFile(path), whole);
  };
  for (const char* name : {"corpus.json", "train.tokens", "held_out.documents"}) {
    const std::string whole = ReadFile(out_ / "corpus" / name);
    expect_remade(name, whole.substr(0, whole.size() / 2));
  }
  // One bit of one token.
  std::string tokens = ReadFile(out_ / "corpus" / "train.tokens");
  tokens[tokens.size() / 3] ^= 1;
  expect_remade("train.tokens", tokens);
  const std::string header = ReadFile(out_ / "corpus" / "corpus.json");
  for (const auto& [from, to] :
       std::map<std::string, std::string>{{"\"format\": 1", "\"format\": 99"},
                                          {"\"documents\": ", "\"documents\": -"},
                                          {"\"tokens\": ", "\"tokens\": 1"},
                                          {"\"tokenizer\": \"", "\"tokenizer\": \"x"}}) {
    std::string altered = header;
    altered.replace(altered.find(from), from.size(), to);
    expect_remade("corpus.json", altered);
  }
}

TEST_F(TokenCorpusTest, AFailureLeavesNothingHalfMade) {
  Make();
  const std::string header = ReadFile(out_ / "corpus" / "corpus.json");
  PutFile(text_ / "zz.jsonl", "{broken\n");
  EXPECT_ERROR(Make(), "zz.jsonl:1: is not valid JSON");
  EXPECT_EQ(ReadFile(out_ / "corpus" / "corpus.json"), header);
  EXPECT_EQ(std::distance(fs::directory_iterator(out_.path()), {}), 1);
  fs::remove(text_ / "zz.jsonl");
  tokenizer_.vocabulary = 100;
  EXPECT_ERROR(Make(), "outside the vocabulary of 100");
  tokenizer_.encode = [](std::string_view, std::vector<int32_t>&) { throw Error("here", "bad"); };
  EXPECT_ERROR(Make(3), "here: bad");
  held_out_.fraction = 1.5;
  EXPECT_ERROR(Make(), "held-out fraction is 1.5");
}

TEST_F(TokenCorpusTest, NoTextIsAnError) {
  TemporaryDirectory empty;
  PutFile(empty / "a.txt", "\n\n");
  spec_.path = empty.path();
  EXPECT_ERROR(Make(), "holds no text: 1 files, 1 empty documents");
}

}  // namespace
}  // namespace fathom
