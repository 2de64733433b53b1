#include "cli/tokenize.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/directories.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "cli/common.h"
#include "cli/tokenize_chat.h"
#include "text/bpe_trainer.h"
#include "text/chat/fathom_format.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

struct TrainArguments {
  int64_t vocab_size = 4096;
  int64_t min_frequency = 2;
  int64_t max_length = 4096;
  int threads = ThreadPool::AvailableProcessors();
  std::filesystem::path out;
  std::vector<std::filesystem::path> files;
  bool quiet = false;
  bool json = false;
};

void Train(const TrainArguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<MappedFile> files;
  std::vector<std::string_view> documents;
  double bytes = 0;
  for (const auto& path : arguments.files) {
    if (std::filesystem::is_directory(path)) {
      throw Error(path.string(), "is a folder",
                  fmt::format("give its files: {}", (path / "*.txt").string()));
    }
    files.emplace_back(path);
    documents.push_back(files.back().text());
    bytes += static_cast<double>(documents.back().size());
  }
  ThreadPool pool(arguments.threads);
  BpeTrainerOptions options;
  options.vocab_size = arguments.vocab_size;
  options.min_frequency = arguments.min_frequency;
  options.quiet = arguments.quiet;
  const Tokenizer tokenizer = TrainTokenizer(PreTokenizer::DeepSeekV3(), documents, options, pool);

  CreateDirectories(arguments.out);
  tokenizer.Save(arguments.out / "tokenizer.json");
  WriteFileAtomically(arguments.out / "tokenizer_config.json",
                      DeepSeekTokenizerConfig(arguments.max_length));

  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!arguments.quiet) {
    fmt::print(stderr, "{}: {} tokens from {} of text in {} files, in {}\n",
               (arguments.out / "tokenizer.json").string(), tokenizer.vocab_size(),
               FormatBytes(bytes), documents.size(), FormatDuration(seconds.count()));
    if (tokenizer.vocab_size() < arguments.vocab_size) {
      fmt::print(stderr,
                 "the text has no more pairs that occur {} times: the vocabulary is smaller than "
                 "the {} asked for\n",
                 arguments.min_frequency, arguments.vocab_size);
    }
  }
  if (arguments.json) {
    const nlohmann::ordered_json result = {
        {"vocab_size", tokenizer.vocab_size()},
        {"merges", tokenizer.model().merges().size()},
        {"fingerprint", fmt::format("{:016x}", tokenizer.fingerprint())},
        {"bytes", static_cast<uint64_t>(bytes)},
        {"seconds", seconds.count()}};
    WriteJson(result);
  }
}

struct EncodeArguments {
  std::filesystem::path model;
  bool plain = false;
  bool surround = false;
  bool json = false;
  bool json_lines = false;
};

void Encode(const EncodeArguments& arguments) {
  const Tokenizer tokenizer = Tokenizer::Load(arguments.model);
  const std::string input = ReadStandardInput();
  std::string out;
  const auto encode = [&](std::string_view text) {
    std::vector<int32_t> ids;
    const SurroundingTokens& around = tokenizer.surrounding_tokens();
    if (arguments.surround) ids = around.before;
    tokenizer.Encode(text, {.added_tokens = !arguments.plain}, ids);
    if (arguments.surround) ids.insert(ids.end(), around.after.begin(), around.after.end());
    const bool json = arguments.json || arguments.json_lines;
    if (json) out += '[';
    for (size_t i = 0; i < ids.size(); ++i) {
      if (i > 0) out += json ? ',' : ' ';
      fmt::format_to(std::back_inserter(out), "{}", ids[i]);
    }
    if (json) out += ']';
    out += '\n';
  };
  if (!arguments.json_lines) {
    encode(input);
  } else {
    int line = 0;
    for (std::string_view rest = input; !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      const JsonDocument document(rest.substr(0, end),
                                  fmt::format("standard input, line {}", ++line));
      encode(document.root().String());
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  WriteStandardOutput(out);
}

void Decode(const std::filesystem::path& model, bool skip_special) {
  const Tokenizer tokenizer = Tokenizer::Load(model);
  const std::vector<int32_t> ids = ParseTokenIds(ReadStandardInput(), "standard input");
  for (const int32_t id : ids) {
    if (tokenizer.HasToken(id)) continue;
    throw Error("standard input", fmt::format("{} is not a token id of this vocabulary", id),
                "is it the tokenizer that made the ids?");
  }
  WriteStandardOutput(tokenizer.Decode(ids, skip_special));
}

void AddTrain(Command parent) {
  Command command = parent.AddCommand(
      "train", "Train a byte-level BPE tokenizer on text files and write it into a directory.");
  command.Footer("Example: fathom tokenize train --vocab-size 4096 --out model notes/*.txt");
  const auto arguments = std::make_shared<TrainArguments>();
  command.AddOption("--vocab-size", arguments->vocab_size, "Tokens in all, special ones included")
      .InRange(1, int64_t{1} << 24)
      .ShowDefault();
  command
      .AddOption("--min-frequency", arguments->min_frequency,
                 "Do not merge pairs that are rarer than this")
      .InRange(0, int64_t{1} << 40)
      .ShowDefault();
  command
      .AddOption("--max-length", arguments->max_length,
                 "The context length that tokenizer_config.json tells other programs")
      .InRange(1, int64_t{1} << 40)
      .ShowDefault();
  command.AddOption("--out", arguments->out, "Directory for tokenizer.json").Required();
  command.AddOption("--threads", arguments->threads, "Threads").InRange(1, 1024).ShowDefault();
  command.AddFlag("--quiet", arguments->quiet, "No progress and no summary");
  command.AddFlag("--json", arguments->json, "A summary in JSON on stdout");
  command.AddOption("FILE", arguments->files, "Text files; each is one document").Required();
  command.OnRun([arguments] { Train(*arguments); });
}

void AddEncode(Command parent) {
  Command command =
      parent.AddCommand("encode", "Read text on stdin, write its token ids separated by spaces.");
  command.Footer("Example: echo 'Hello, world' | fathom tokenize encode model");
  const auto arguments = std::make_shared<EncodeArguments>();
  command.AddFlag("--plain", arguments->plain,
                  "Treat special tokens in the text as plain text, as for what a user wrote");
  command.AddFlag("--surround", arguments->surround,
                  "Add the tokens that tokenizer.json puts around a text, such as Llama 3's "
                  "begin-of-text");
  command.AddFlag("--json", arguments->json, "Write a JSON array");
  command.AddFlag("--json-lines", arguments->json_lines,
                  "Every line of stdin is a text of its own, as a JSON string; write one JSON "
                  "array a line");
  command.AddOption("DIR", arguments->model, "Model directory, or a tokenizer.json").Required();
  command.OnRun([arguments] { Encode(*arguments); });
}

void AddDecode(Command parent) {
  struct TokenizeArguments {
    std::filesystem::path model;
    bool skip_special = false;
  };
  Command command =
      parent.AddCommand("decode", "Read token ids on stdin, write their text, byte for byte.");
  command.Footer("Example: echo '412 7 88' | fathom tokenize decode model");
  const auto arguments = std::make_shared<TokenizeArguments>();
  command.AddFlag("--skip-special", arguments->skip_special, "Leave special tokens out");
  command.AddOption("DIR", arguments->model, "Model directory, or a tokenizer.json").Required();
  command.OnRun([arguments] { Decode(arguments->model, arguments->skip_special); });
}

}  // namespace

void AddTokenizeCommand(Command app) {
  Command command =
      app.AddCommand("tokenize", "Train a tokenizer; turn text into token ids and back.");
  command.RequireCommand();
  command.Footer("Example: echo 'Hello, world' | fathom tokenize encode model");
  AddTrain(command);
  AddEncode(command);
  AddDecode(command);
  AddTokenizeChatCommand(command);
}

}  // namespace fathom
