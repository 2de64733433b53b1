#include "data/token_corpus.h"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/documents.h"
#include "data/parallel_encoder.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

// Raised whenever the files or what makes them changes, so that older ones are made again.
constexpr int64_t kFormat = 1;

constexpr std::array<const char*, 2> kSplits = {"train", "held_out"};

std::string Hex(uint64_t value) { return fmt::format("{:016x}", value); }

uint64_t ParseHex(const JsonValue& value) {
  const std::string_view text = value.String();
  uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (code != std::errc() || end != text.data() + text.size())
    throw Error(value.path(), "is not a hexadecimal number");
  return number;
}

uint64_t ParseCount(const JsonValue& value) {
  if (value.Int() < 0) throw Error(value.path(), "is negative");
  return static_cast<uint64_t>(value.Int());
}

// A hash of everything that decides which documents there are and in which part.
uint64_t DescribeSource(const SourceSpec& spec, const HeldOutOptions& held_out,
                        const std::vector<SourceFile>& files) {
  Hash64 hash;
  hash.UpdateField(fs::weakly_canonical(spec.path).string());
  hash.UpdateField(spec.text_field);
  hash.UpdateField(spec.document_separator);
  hash.UpdateField(static_cast<uint64_t>(spec.skip_bad_lines));
  hash.UpdateField(static_cast<uint64_t>(spec.strip_license_header));
  hash.UpdateField(fmt::format("{} {}", held_out.fraction, held_out.seed));
  for (const SourceFile& file : files) {
    hash.UpdateField(file.name);
    hash.UpdateField(file.size);
    hash.UpdateField(static_cast<uint64_t>(file.modified));
  }
  return hash.Digest();
}

struct Header {
  int64_t format = 0;
  int64_t vocabulary = 0;
  uint64_t tokenizer = 0;
  uint64_t source = 0;
  std::array<TokenStoreSummary, 2> splits;
};

void WriteHeader(const fs::path& path, const SourceSpec& spec, const Header& header) {
  nlohmann::ordered_json json = {{"format", header.format},
                                 {"path", spec.path.string()},
                                 {"source", Hex(header.source)},
                                 {"tokenizer", Hex(header.tokenizer)},
                                 {"vocabulary", header.vocabulary}};
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const TokenStoreSummary& split = header.splits[i];
    json[kSplits[i]] = {{"documents", split.documents},
                        {"tokens", split.tokens},
                        {"bytes", split.bytes},
                        {"token_bytes", split.token_bytes},
                        {"token_hash", Hex(split.token_hash)},
                        {"table_hash", Hex(split.table_hash)}};
  }
  // The path is the user's and may be any bytes.
  constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
  WriteFileAtomically(path, json.dump(2, ' ', false, kReplace) + "\n");
}

Header ReadHeader(const fs::path& path) {
  const std::string text = ReadFile(path);
  const JsonDocument document(text, path.string());
  const JsonValue& root = document.root();
  Header header;
  header.format = root.At("format").Int();
  if (header.format != kFormat) return header;  // the rest is not ours to read
  header.source = ParseHex(root.At("source"));
  header.tokenizer = ParseHex(root.At("tokenizer"));
  header.vocabulary = root.At("vocabulary").Int();
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const JsonValue split = root.At(kSplits[i]);
    TokenStoreSummary& summary = header.splits[i];
    summary.documents = ParseCount(split.At("documents"));
    summary.tokens = ParseCount(split.At("tokens"));
    summary.bytes = ParseCount(split.At("bytes"));
    summary.token_bytes = split.At("token_bytes").Int() == 2 ? 2 : 4;
    summary.token_hash = ParseHex(split.At("token_hash"));
    summary.table_hash = ParseHex(split.At("table_hash"));
  }
  return header;
}

TokenCorpus OpenWithHeader(const fs::path& directory, const Header& header) {
  TokenCorpus corpus;
  corpus.name = directory.filename().string();
  corpus.train =
      std::make_shared<TokenStore>(directory / kSplits[0], header.splits[0], header.vocabulary);
  corpus.held_out =
      std::make_shared<TokenStore>(directory / kSplits[1], header.splits[1], header.vocabulary);
  return corpus;
}

// The corpus in `directory`, if it is whole and was made from `wanted`'s source and tokenizer.
std::optional<TokenCorpus> OpenIfCurrent(const fs::path& directory, const Header& wanted,
                                         bool quiet) {
  if (!fs::exists(directory / "corpus.json")) return std::nullopt;
  try {
    const Header header = ReadHeader(directory / "corpus.json");
    if (header.format != wanted.format || header.source != wanted.source ||
        header.tokenizer != wanted.tokenizer || header.vocabulary != wanted.vocabulary) {
      return std::nullopt;
    }
    TokenCorpus corpus = OpenWithHeader(directory, header);
    for (const auto& store : {corpus.train, corpus.held_out}) {
      Progress progress(fmt::format("checking {}", directory.string()), "bytes",
                        static_cast<double>(store->token_bytes()), quiet);
      store->Verify([&](uint64_t bytes) {
        InterruptGuard::ThrowIfRequested("checking the tokenised text");
        progress.Update(static_cast<double>(bytes));
      });
    }
    return corpus;
  } catch (const Error& error) {
    if (InterruptGuard::Requested()) throw;
    spdlog::warn("the text is tokenised anew: {}", error.what());
    return std::nullopt;
  }
}

// Reads, tokenises and writes both parts into `directory`; sets the summaries of the header.
void Tokenize(const SourceSpec& spec, const HeldOutOptions& held_out,
              const std::vector<SourceFile>& files, const TokenizerInfo& tokenizer,
              const fs::path& directory, ThreadPool& pool, bool quiet, Header& header) {
  std::array<TokenStoreWriter, 2> writers = {
      TokenStoreWriter(directory / kSplits[0], tokenizer.vocabulary),
      TokenStoreWriter(directory / kSplits[1], tokenizer.vocabulary)};
  double total = 0;
  for (const SourceFile& file : files) total += static_cast<double>(file.size);
  Progress progress(fmt::format("tokenising {}", spec.Name()), "bytes", total, quiet);
  ParallelEncoder encoder(tokenizer.encode, pool, [&](const ParallelEncoder::Piece& piece) {
    TokenStoreWriter& writer = writers[static_cast<size_t>(piece.split)];
    writer.Append(piece.ids);
    if (piece.last) writer.EndDocument(piece.document_bytes);
  });
  const ReadStatistics statistics =
      ForEachDocument(spec, files, [&](const Document& document, const ReadStatistics& so_far) {
        InterruptGuard::ThrowIfRequested("tokenising");
        const bool out = IsHeldOut(document.name, held_out.seed, held_out.fraction);
        encoder.Add(document.text, out ? 1 : 0);
        progress.Update(static_cast<double>(so_far.file_bytes));
      });
  encoder.Flush();
  if (statistics.not_utf8 > 0) {
    progress.Clear();
    spdlog::warn(
        "{}: {} of {} files: not UTF-8, the first is {}: what is not is read as U+FFFD (convert "
        "them, for example with iconv)",
        spec.Name(), statistics.not_utf8, files.size(), statistics.first_not_utf8);
  }
  if (statistics.documents == 0) {
    throw Error(spec.path.string(),
                fmt::format("holds no text: {} files, {} empty documents, {} bad lines",
                            files.size(), statistics.empty, statistics.bad_lines));
  }
  for (size_t i = 0; i < writers.size(); ++i) header.splits[i] = writers[i].Finish();
}

}  // namespace

TokenCorpus MakeTokenCorpus(const SourceSpec& spec, const HeldOutOptions& held_out,
                            const TokenizerInfo& tokenizer, const fs::path& directory,
                            ThreadPool& pool, bool quiet) {
  if (!(held_out.fraction >= 0 && held_out.fraction < 1)) {
    throw Error(spec.Name(), fmt::format("the held-out fraction is {}", held_out.fraction),
                "it is at least 0 and below 1");
  }
  const std::vector<SourceFile> files = ListFiles(spec);
  Header header;
  header.format = kFormat;
  header.vocabulary = tokenizer.vocabulary;
  header.tokenizer = tokenizer.fingerprint;
  header.source = DescribeSource(spec, held_out, files);
  auto corpus = OpenIfCurrent(directory, header, quiet);
  if (!corpus) {
    WriteDirectoryAtomically(directory, [&](const fs::path& temporary) {
      Tokenize(spec, held_out, files, tokenizer, temporary, pool, quiet, header);
      WriteHeader(temporary / "corpus.json", spec, header);
    });
    corpus = OpenWithHeader(directory, header);
  }
  corpus->name = spec.Name();
  return *std::move(corpus);
}

}  // namespace fathom
