#include "posttrain/sft/conversation_corpus.h"

#include "base/error.h"
#include "base/log.h"
#include "data/tasks/task_file.h"

namespace fathom {
namespace {

// Of a store's tokens, twice the id is kept, plus one where the token is to be predicted; a store's
// bytes count these targets.
class SequenceEncoder : public RowEncoder {
 public:
  SequenceEncoder(const ConversationEncoder& encoder, int64_t vocabulary,
                  const ConversationCorpusOptions& options)
      : encoder_(encoder), vocabulary_(vocabulary), options_(options) {}

  int64_t store_vocabulary() const override { return 2 * vocabulary_; }

  EncodedRow Encode(const JsonValue& conversation) const override {
    EncodedRow row;
    for (LabelledTokens& sequence : Sequences(conversation)) {
      const auto most = static_cast<size_t>(options_.most_tokens);
      if (sequence.ids.size() > most) {
        ++row.too_long;
        if (options_.too_long == TooLong::kDrop) continue;
        sequence.ids.resize(most);
        sequence.targets.resize(most);
      }
      const int64_t targets = sequence.TargetCount();
      if (targets == 0) continue;
      for (size_t i = 0; i < sequence.ids.size(); ++i)
        sequence.ids[i] = 2 * sequence.ids[i] + (sequence.targets[i] ? 1 : 0);
      row.documents.push_back(
          {.ids = std::move(sequence.ids), .bytes = static_cast<uint64_t>(targets)});
    }
    return row;
  }

 private:
  std::vector<LabelledTokens> Sequences(const JsonValue& row) const {
    if (!row.IsObject() || row.Find("messages")) return encoder_.Encode(row);
    if (!row.Find("question") && !row.Find("problem") && !row.Find("prompt")) {
      throw Error(row.path(), "has neither 'messages' nor a question",
                  "a row is a conversation, or a problem with its answer");
    }
    const TaskProblem problem = ReadTaskRow(row, row.path(), row.path());
    if (problem.answers.empty()) throw Error(row.path(), "has no key 'answer', and that is learnt");
    return encoder_.Encode(ChatMessagesToData(SolvedConversation(problem, options_.solution)),
                           {.now = 0}, row.path());
  }

  const ConversationEncoder& encoder_;
  int64_t vocabulary_;
  const ConversationCorpusOptions& options_;
};

}  // namespace

RowCorpus MakeConversationCorpus(const SourceSpec& spec, const ConversationEncoder& encoder,
                                 int64_t vocabulary, const ConversationCorpusOptions& options,
                                 const std::filesystem::path& directory, ThreadPool& pool,
                                 bool quiet) {
  RowCorpus corpus = MakeRowCorpus(spec, SequenceEncoder(encoder, vocabulary, options),
                                   options.rows, directory, "reading conversations", pool, quiet);
  if (corpus.train->documents() == 0) {
    throw Error(corpus.name,
                fmt::format("its {} conversations have no answer to learn", corpus.rows),
                corpus.too_long > 0 ? "they are longer than data.sequence_length"
                                    : "is there a message whose role is assistant?");
  }
  if (corpus.too_long > 0) {
    spdlog::warn("{}: {} sequences of more than {} tokens were {}", corpus.name, corpus.too_long,
                 options.most_tokens,
                 options.too_long == TooLong::kDrop ? "left out (data.too_long)" : "cut");
  }
  return corpus;
}

LabelledTokens ReadSequence(const TokenStore& store, uint64_t index) {
  LabelledTokens sequence;
  const uint64_t count = store.DocumentTokens(index);
  sequence.ids.resize(count);
  sequence.targets.resize(count);
  store.Copy(index, 0, count, sequence.ids.data());
  for (size_t i = 0; i < count; ++i) {
    sequence.targets[i] = sequence.ids[i] % 2 == 1;
    sequence.ids[i] /= 2;
  }
  return sequence;
}

void ConversationLayout::Put(const TokenStore& store, uint64_t index, int64_t row, int64_t column,
                             TokenRows& batch) const {
  const LabelledTokens sequence = ReadSequence(store, index);
  const int64_t width = batch.length + 1 + batch.depth;
  const auto inputs = static_cast<int64_t>(sequence.ids.size()) - 1;
  batch.segments.push_back({.row = row, .begin = column, .length = inputs});
  for (int64_t i = 0; i < inputs; ++i) {
    batch.tokens[static_cast<size_t>(row * width + column + i)] =
        sequence.ids[static_cast<size_t>(i)];
    for (int64_t level = 0; level <= batch.depth; ++level) {
      const auto next = static_cast<size_t>(i + 1 + level);
      if (next >= sequence.ids.size() || !sequence.targets[next]) continue;
      batch.targets[static_cast<size_t>((level * batch.rows + row) * batch.length + column + i)] =
          sequence.ids[next];
    }
  }
}

}  // namespace fathom
