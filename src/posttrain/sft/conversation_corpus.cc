#include "posttrain/sft/conversation_corpus.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/directories.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/documents.h"
#include "data/line_reader.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWork = "reading conversations";
// Lines encoded at once: enough for all threads, little to hold.
constexpr size_t kBatchLines = 256;
constexpr size_t kBatchBytes = size_t{8} << 20;

// One line and what became of it.
struct Line {
  std::string name, text;
  std::vector<LabelledTokens> sequences;
  std::optional<Error> error;
};

class CorpusWriter {
 public:
  CorpusWriter(const SourceSpec& spec, const ConversationEncoder& encoder, int64_t vocabulary,
               const ConversationCorpusOptions& options, const fs::path& directory,
               ThreadPool& pool)
      : spec_(spec),
        encoder_(encoder),
        options_(options),
        pool_(pool),
        train_(directory / "train", 2 * vocabulary),
        held_out_(directory / "held-out", 2 * vocabulary) {}

  void Add(std::string name, std::string_view text) {
    bytes_ += text.size();
    lines_.push_back({.name = std::move(name), .text = std::string(text)});
    if (lines_.size() >= kBatchLines || bytes_ >= kBatchBytes) Flush();
  }

  void Flush() {
    const auto parts = static_cast<size_t>(pool_.threads());
    pool_.Run([&](int part) {
      for (auto i = static_cast<size_t>(part); i < lines_.size(); i += parts) Encode(lines_[i]);
    });
    for (Line& line : lines_) Write(line);
    lines_.clear();
    bytes_ = 0;
  }

  std::pair<TokenStoreSummary, TokenStoreSummary> Finish(ConversationCorpus& corpus) {
    Flush();
    corpus.conversations = conversations_;
    corpus.too_long = too_long_;
    if (bad_lines_ > 0) spdlog::warn("{}: {} bad lines were left out", spec_.Name(), bad_lines_);
    return {train_.Finish(), held_out_.Finish()};
  }

 private:
  void Encode(Line& line) const {
    try {
      const JsonDocument document(line.text, line.name);
      line.sequences = encoder_.Encode(document.root());
    } catch (const Error& error) {
      line.error = error;
    }
  }

  void Write(Line& line) {
    if (line.error) {
      if (!spec_.skip_bad_lines) throw Error(*line.error);
      ++bad_lines_;
      return;
    }
    ++conversations_;
    const bool held_out = IsHeldOut(line.name, options_.seed, options_.held_out_fraction);
    TokenStoreWriter& writer = held_out ? held_out_ : train_;
    for (LabelledTokens& sequence : line.sequences) {
      const auto most = static_cast<size_t>(options_.most_tokens);
      if (sequence.ids.size() > most) {
        ++too_long_;
        if (options_.too_long == TooLong::kDrop) continue;
        sequence.ids.resize(most);
        sequence.targets.resize(most);
      }
      const int64_t targets = sequence.TargetCount();
      if (targets == 0) continue;
      for (size_t i = 0; i < sequence.ids.size(); ++i)
        sequence.ids[i] = 2 * sequence.ids[i] + (sequence.targets[i] ? 1 : 0);
      writer.Append(sequence.ids);
      writer.EndDocument(static_cast<uint64_t>(targets));
    }
  }

  const SourceSpec& spec_;
  const ConversationEncoder& encoder_;
  const ConversationCorpusOptions& options_;
  ThreadPool& pool_;
  TokenStoreWriter train_, held_out_;
  std::vector<Line> lines_;
  size_t bytes_ = 0;
  uint64_t conversations_ = 0, too_long_ = 0, bad_lines_ = 0;
};

}  // namespace

ConversationCorpus MakeConversationCorpus(const SourceSpec& spec,
                                          const ConversationEncoder& encoder, int64_t vocabulary,
                                          const ConversationCorpusOptions& options,
                                          const fs::path& directory, ThreadPool& pool, bool quiet) {
  const std::vector<SourceFile> files = ListFiles(spec);
  double total = 0;
  for (const SourceFile& file : files) total += static_cast<double>(file.size);
  Progress progress(kWork, "bytes", total, quiet);
  ConversationCorpus corpus{.name = spec.Name()};
  TokenStoreSummary train, held_out;
  CreateDirectories(directory.parent_path());
  WriteDirectoryAtomically(directory, [&](const fs::path& temporary) {
    CorpusWriter writer(spec, encoder, vocabulary, options, temporary, pool);
    double done = 0;
    for (const SourceFile& file : files) {
      LineReader lines(file.path, file.kind == FileKind::kCompressedJsonLines);
      for (std::string_view line; lines.Next(line);) {
        InterruptGuard::ThrowIfRequested(kWork);
        if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
        writer.Add(fmt::format("{}:{}", file.name, lines.line_number()), line);
        progress.Update(done + static_cast<double>(lines.position()));
      }
      done += static_cast<double>(file.size);
    }
    std::tie(train, held_out) = writer.Finish(corpus);
  });
  corpus.train = std::make_shared<TokenStore>(directory / "train", train, 2 * vocabulary);
  corpus.held_out = std::make_shared<TokenStore>(directory / "held-out", held_out, 2 * vocabulary);
  if (corpus.train->documents() == 0) {
    throw Error(corpus.name,
                fmt::format("its {} conversations have no answer to learn", corpus.conversations),
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

}  // namespace fathom
