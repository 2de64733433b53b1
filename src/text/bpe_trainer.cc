#include "text/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "text/byte_level.h"

namespace fathom {
namespace {

class Trainer {
 public:
  explicit Trainer(const BpeTrainerOptions& options) : options_(options) {}

  BpeModel Train(const WordCounts& words) {
    AddSpecialTokens();
    AddBytes();
    if (options_.vocab_size < static_cast<int64_t>(tokens_.size())) {
      throw Error("vocabulary size", fmt::format("{} is less than the {} special tokens and bytes",
                                                 options_.vocab_size, tokens_.size()));
    }
    ReadWords(words);
    CountPairs();
    Learn();
    return BpeModel(std::move(tokens_), UniqueMerges(), "trained vocabulary");
  }

 private:
  struct WordSymbols {
    size_t begin;  // in symbols_
    uint32_t size;
    int64_t count;
  };
  struct PairInfo {
    int64_t count = 0;
    int32_t fresh = -1;  // index into fresh_ of the words it was newly made in
  };
  // Words that hold a pair newly made by the current merge; empty when taken into the queue.
  struct FreshPair {
    TokenPair pair;
    std::vector<uint32_t> words;
  };
  struct Candidate {
    int64_t count;
    TokenPair pair;
    uint32_t places;  // index into places_
    // The order of a max-heap: less frequent, then higher ids, is further down.
    bool operator<(const Candidate& other) const {
      if (count != other.count) return count < other.count;
      if (pair.left != other.pair.left) return pair.left > other.pair.left;
      return pair.right > other.pair.right;
    }
  };

  // The id of the token with these bytes, made when it is new. Two pairs can make the same one.
  int32_t IdOf(const std::string& bytes) {
    const auto [found, is_new] = ids_.emplace(bytes, static_cast<int32_t>(tokens_.size()));
    if (is_new) tokens_.push_back({bytes, VocabularyToken::Kind::kBytes});
    return found->second;
  }

  void AddSpecialTokens() {
    for (const AddedToken& token : options_.special_tokens) {
      if (auto bytes = PrintableToBytes(token.content)) {
        IdOf(*bytes);
      } else {
        tokens_.push_back({token.content, VocabularyToken::Kind::kLiteral});
      }
    }
  }

  void AddBytes() {
    for (const uint8_t byte : BytesInPrintableOrder()) {
      byte_ids_[byte] = IdOf(std::string(1, static_cast<char>(byte)));
    }
  }

  void ReadWords(const WordCounts& words) {
    size_t total = 0;
    for (const auto& word : words.words()) total += word.bytes.size();
    symbols_.reserve(total);
    for (const auto& word : words.words()) {
      if (word.bytes.size() < 2) continue;
      if (word.bytes.size() > UINT32_MAX) throw Error("corpus", "a word of 4 GiB or more");
      words_.push_back({symbols_.size(), static_cast<uint32_t>(word.bytes.size()), word.count});
      for (const char c : word.bytes) symbols_.push_back(byte_ids_[static_cast<uint8_t>(c)]);
    }
  }

  void CountPairs() {
    for (uint32_t w = 0; w < words_.size(); ++w) {
      const WordSymbols& word = words_[w];
      for (size_t i = word.begin; i + 1 < word.begin + word.size; ++i) {
        AddPair({symbols_[i], symbols_[i + 1]}, word.count, w);
      }
    }
    QueueFreshPairs();
  }

  void AddPair(TokenPair pair, int64_t count, uint32_t word) {
    PairInfo& info = pairs_[pair];
    info.count += count;
    if (info.fresh < 0) {
      info.fresh = static_cast<int32_t>(fresh_.size());
      fresh_.push_back({pair, {}});
    }
    std::vector<uint32_t>& places = fresh_[info.fresh].words;
    if (places.empty() || places.back() != word) places.push_back(word);
  }

  void QueueFreshPairs() {
    for (FreshPair& fresh : fresh_) {
      PairInfo& info = pairs_[fresh.pair];
      info.fresh = -1;
      if (info.count <= 0) continue;
      queue_.push({info.count, fresh.pair, static_cast<uint32_t>(places_.size())});
      places_.push_back(std::move(fresh.words));
    }
    fresh_.clear();
  }

  void Learn() {
    Progress progress("learning merges", "tokens", static_cast<double>(options_.vocab_size),
                      options_.quiet);
    while (static_cast<int64_t>(tokens_.size()) < options_.vocab_size && !queue_.empty()) {
      InterruptGuard::ThrowIfRequested("tokenizer training");
      Candidate top = queue_.top();
      queue_.pop();
      // Counts in the queue go stale as merges take neighbours away; put right when they come up.
      const int64_t count = pairs_[top.pair].count;
      if (top.count != count) {
        top.count = count;
        queue_.push(top);
        continue;
      }
      if (count < 1 || count < options_.min_frequency) break;
      const int32_t id = IdOf(tokens_[top.pair.left].bytes + tokens_[top.pair.right].bytes);
      merges_.push_back({top.pair.left, top.pair.right, id});
      for (const uint32_t word : places_[top.places]) MergeIn(word, top.pair, id);
      places_[top.places] = {};
      QueueFreshPairs();
      progress.Update(static_cast<double>(tokens_.size()));
    }
  }

  // Replaces `pair` by `id` in a word and keeps the counts of the neighbours. The count of `pair`
  // itself stays: it is not looked at again, unless the same token is made once more from other
  // parts and the pair with it, and then the original goes on from there too.
  void MergeIn(uint32_t word_index, TokenPair pair, int32_t id) {
    WordSymbols& word = words_[word_index];
    int32_t* symbols = symbols_.data() + word.begin;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < word.size; ++i) {
      if (symbols[i] != pair.left || i + 1 == word.size || symbols[i + 1] != pair.right) {
        symbols[kept++] = symbols[i];
        continue;
      }
      if (kept > 0) {
        pairs_[{symbols[kept - 1], pair.left}].count -= word.count;
        AddPair({symbols[kept - 1], id}, word.count, word_index);
      }
      if (i + 2 < word.size) {
        pairs_[{pair.right, symbols[i + 2]}].count -= word.count;
        AddPair({id, symbols[i + 2]}, word.count, word_index);
      }
      symbols[kept++] = id;
      ++i;
    }
    word.size = kept;
  }

  // A pair that was merged twice has the rank of the second time.
  std::vector<Merge> UniqueMerges() const {
    PairMap<size_t> last(merges_.size());
    for (size_t i = 0; i < merges_.size(); ++i) last[{merges_[i].left, merges_[i].right}] = i;
    std::vector<Merge> unique;
    for (size_t i = 0; i < merges_.size(); ++i) {
      if (*last.Find({merges_[i].left, merges_[i].right}) == i) unique.push_back(merges_[i]);
    }
    return unique;
  }

  const BpeTrainerOptions& options_;
  std::vector<VocabularyToken> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::array<int32_t, 256> byte_ids_;
  std::vector<Merge> merges_;

  std::vector<WordSymbols> words_;
  std::vector<int32_t> symbols_;
  PairMap<PairInfo> pairs_;
  std::vector<FreshPair> fresh_;
  std::vector<std::vector<uint32_t>> places_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

BpeModel TrainBpe(const WordCounts& words, const BpeTrainerOptions& options) {
  return Trainer(options).Train(words);
}

Tokenizer TrainTokenizer(PreTokenizer pre_tokenizer, std::span<const std::string_view> documents,
                         const BpeTrainerOptions& options, ThreadPool& pool) {
  const WordCounts words = CountWords(pre_tokenizer, documents, pool, options.quiet);
  BpeModel model = TrainBpe(words, options);
  std::vector<AddedToken> special = options.special_tokens;
  for (size_t i = 0; i < special.size(); ++i) special[i].id = static_cast<int32_t>(i);
  return Tokenizer(std::move(pre_tokenizer), std::move(model), std::move(special));
}

}  // namespace fathom
