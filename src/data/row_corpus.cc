#include "data/row_corpus.h"

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

// Lines encoded at once: enough for all threads, little to hold.
constexpr size_t kBatchLines = 256;
constexpr size_t kBatchBytes = size_t{8} << 20;

// One line and what became of it.
struct Line {
  std::string name, where, text;  // where: for errors
  EncodedRow row;
  std::optional<Error> error;
};

class CorpusWriter {
 public:
  CorpusWriter(const SourceSpec& spec, const RowEncoder& encoder, const RowCorpusOptions& options,
               const fs::path& directory, ThreadPool& pool)
      : spec_(spec),
        encoder_(encoder),
        options_(options),
        pool_(pool),
        train_(directory / "train", encoder.store_vocabulary()),
        held_out_(directory / "held-out", encoder.store_vocabulary()) {}

  void Add(std::string name, std::string where, std::string_view text) {
    bytes_ += text.size();
    lines_.push_back(
        {.name = std::move(name), .where = std::move(where), .text = std::string(text)});
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

  std::pair<TokenStoreSummary, TokenStoreSummary> Finish(RowCorpus& corpus) {
    Flush();
    corpus.rows = rows_;
    corpus.too_long = too_long_;
    if (bad_lines_ > 0) spdlog::warn("{}: {} bad lines were left out", spec_.Name(), bad_lines_);
    return {train_.Finish(), held_out_.Finish()};
  }

 private:
  void Encode(Line& line) const {
    try {
      const JsonDocument document(line.text, line.where);
      line.row = encoder_.Encode(document.root());
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
    ++rows_;
    too_long_ += line.row.too_long;
    const bool held_out = IsHeldOut(line.name, options_.seed, options_.held_out_fraction);
    TokenStoreWriter& writer = held_out ? held_out_ : train_;
    for (const EncodedRow::Document& document : line.row.documents) {
      writer.Append(document.ids);
      writer.EndDocument(document.bytes);
    }
  }

  const SourceSpec& spec_;
  const RowEncoder& encoder_;
  const RowCorpusOptions& options_;
  ThreadPool& pool_;
  TokenStoreWriter train_, held_out_;
  std::vector<Line> lines_;
  size_t bytes_ = 0;
  uint64_t rows_ = 0, too_long_ = 0, bad_lines_ = 0;
};

}  // namespace

RowCorpus MakeRowCorpus(const SourceSpec& spec, const RowEncoder& encoder,
                        const RowCorpusOptions& options, const fs::path& directory,
                        const std::string& work, ThreadPool& pool, bool quiet) {
  const std::vector<SourceFile> files = ListFiles(spec);
  double total = 0;
  for (const SourceFile& file : files) total += static_cast<double>(file.size);
  Progress progress(work, "bytes", total, quiet);
  RowCorpus corpus{.name = spec.Name()};
  TokenStoreSummary train, held_out;
  CreateDirectories(directory.parent_path());
  WriteDirectoryAtomically(directory, [&](const fs::path& temporary) {
    CorpusWriter writer(spec, encoder, options, temporary, pool);
    double done = 0;
    for (const SourceFile& file : files) {
      LineReader lines(file.path, file.kind == FileKind::kCompressedJsonLines);
      for (std::string_view line; lines.Next(line);) {
        InterruptGuard::ThrowIfRequested(work);
        if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
        writer.Add(fmt::format("{}:{}", file.name, lines.line_number()),
                   fmt::format("{}:{}", file.path.string(), lines.line_number()), line);
        progress.Update(done + static_cast<double>(lines.position()));
      }
      done += static_cast<double>(file.size);
    }
    std::tie(train, held_out) = writer.Finish(corpus);
  });
  corpus.train =
      std::make_shared<TokenStore>(directory / "train", train, encoder.store_vocabulary());
  corpus.held_out =
      std::make_shared<TokenStore>(directory / "held-out", held_out, encoder.store_vocabulary());
  return corpus;
}

}  // namespace fathom
