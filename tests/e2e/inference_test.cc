// The binary as a user calls it: init, inspect, generate, score, chat, bench.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/temporary_directory.h"
#include "e2e/terminal.h"

namespace fathom::test {
namespace {

using nlohmann::json;

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Result {
  int code;
  std::string out, err;
};

class InferenceTest : public testing::Test {
 protected:
  // One model for all tests of this file.
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    ASSERT_EQ(Run("tokenize train --vocab-size 600 --quiet --out " + Path("tokenizer") +
                  " " FATHOM_SOURCE_DIR "/src/base/error.h " FATHOM_SOURCE_DIR "/src/base/file.h")
                  .code,
              0);
    const Result init =
        Run("init nano " + Path("model") + " --layers 2 --seed 3 --tokenizer " + Path("tokenizer"));
    ASSERT_EQ(init.code, 0) << init.err;
  }
  static void TearDownTestSuite() { directory_.reset(); }

  static std::string Path(const std::string& name) { return (*directory_ / name).string(); }

  static Result Run(const std::string& arguments, const std::string& input = "") {
    std::ofstream(Path("in"), std::ios::binary) << input;
    const std::string command = FATHOM_BINARY " " + arguments + " <" + Path("in") + " >" +
                                Path("out") + " 2>" + Path("err");
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Read(Path("out")), Read(Path("err"))};
  }
  static json RunJson(const std::string& arguments, const std::string& input = "") {
    const Result result = Run(arguments, input);
    EXPECT_EQ(result.code, 0) << arguments << "\n" << result.err;
    return json::parse(result.out);
  }
  // Fails with this exit code and one line that holds `message`.
  static void ExpectFailure(const std::string& arguments, int code, const std::string& message) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.code, code) << arguments << "\n" << result.err;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_TRUE(result.err.starts_with("fathom: error: ")) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
  }

  static std::unique_ptr<TemporaryDirectory> directory_;
};
std::unique_ptr<TemporaryDirectory> InferenceTest::directory_;

TEST_F(InferenceTest, EveryCommandHasHelpWithAnExample) {
  const Result all = Run("--help");
  EXPECT_EQ(all.code, 0);
  EXPECT_TRUE(Run("--version").out.starts_with("fathom "));
  EXPECT_NE(Run("tokenize --help").out.find("Example: "), std::string::npos);
  for (const char* command : {"init", "inspect", "generate", "score", "chat", "serve", "bench"}) {
    EXPECT_NE(all.out.find(command), std::string::npos);
    const Result help = Run(std::string(command) + " --help");
    EXPECT_EQ(help.code, 0);
    EXPECT_NE(help.out.find(std::string("Example: fathom ") + command), std::string::npos);
    for (const char* option : {"--threads", "--device", "--seed", "--quiet", "--json"}) {
      EXPECT_NE(help.out.find(option), std::string::npos) << command << " " << option;
    }
  }
}

TEST_F(InferenceTest, MistakesAreOneLine) {
  const std::string model = Path("model");
  ExpectFailure("", 2, "which command?");
  ExpectFailure("tokenize", 2, "tokenize: which command?");
  ExpectFailure("nonsense", 2, "there is no command 'nonsense' (--help lists what there is)");
  ExpectFailure("generat x", 2, "there is no command 'generat' (did you mean 'generate'?)");
  ExpectFailure("tokenize trian", 2,
                "tokenize: there is no command 'trian' (did you mean 'train'?)");
  ExpectFailure("generate " + model, 2, "--prompt");
  ExpectFailure("generate " + model + " --prompt x --nonsense", 2, "--nonsense");
  ExpectFailure("generate " + model + " --prompt x --max-token=3", 2,
                "generate: there is no option '--max-token' (did you mean '--max-tokens'?)");
  ExpectFailure("inspect " + model + " twice", 2, "'twice'");
  ExpectFailure("generate " + Path("") + " --prompt x", 1, "did you mean " + Path("model") + "?");
  ExpectFailure("generate " + Path("in") + " --prompt x", 1, "nor a GGUF file");
  ExpectFailure("generate " + model + " --prompt x --temperature -1", 2, "temperature");
  ExpectFailure("generate " + model + " --prompt x --threads 0", 2, "--threads");
  ExpectFailure("generate " + model + " --prompt x --seed -1", 2, "--seed");
  ExpectFailure("generate " + model + " --prompt x --device tpu", 2, "'tpu'");
  ExpectFailure("generate " + model + " --prompt x --device cuda", 1, "this build has no CUDA");
  // These are seen by the engine: the model is loaded, and says with which modules unless --quiet.
  ExpectFailure("generate " + model + " --quiet --prompt x --max-tokens 4096", 1,
                "context of 4096");
  ExpectFailure("generate " + model + " --quiet --prompt '' --no-bos", 2, "empty");
  ExpectFailure("generate " + Path("none") + " --prompt x", 1, "none");
  ExpectFailure("score " + model, 2, "--text");
  ExpectFailure("score " + model + " --text x --tokens y", 2, "--text");
  ExpectFailure("score " + model + " --tokens " + Path("none"), 1, "none");
  ExpectFailure("init v3 " + Path("huge"), 1, "not enough memory");
  ExpectFailure("init nano " + model, 1, "already");
  ExpectFailure("init mini " + Path("mini"), 2, "nano, small, base");
  ExpectFailure("init nano " + Path("small") + " --vocab-size 300 --tokenizer " + Path("tokenizer"),
                1, "vocab_size is 300");
  EXPECT_FALSE(std::filesystem::exists(Path("small")));
  ExpectFailure("inspect " + Path("none.safetensors"), 1, "does not exist");
  for (const char* size : {"-1", "0", "0GB", "-5MB"}) {
    ExpectFailure("generate " + model + " --prompt x --cache-memory " + size, 2,
                  "generate: --cache-memory: '" + std::string(size) + "' is out of range");
    ExpectFailure("convert " + model + " " + Path("sharded") + " --shard-size " + size, 2,
                  "convert: --shard-size: '" + std::string(size) + "' is out of range");
  }
  for (const char* size : {"many", "3XB", "3iB", "3 4", "GB", "nan"}) {
    ExpectFailure("generate " + model + " --prompt x --disk-cache-size '" + size + "'", 2,
                  "--disk-cache-size: '" + std::string(size) + "'");
  }
  ExpectFailure("chat " + model + " --think --no-think", 2, "--think excludes --no-think");
  ExpectFailure("tokenize chat " + model + " --think --no-think", 2, "--think excludes --no-think");
  ExpectFailure("tokenize train " + Path("in"), 2, "tokenize train: --out is required");
  ExpectFailure("tokenize train --out " + Path("other") + " " + model, 1,
                "is a folder (give its files: " + Path("model/*.txt"));
  ExpectFailure("bench " + model + " --prompt 0 --generate 0", 2, "nothing to measure");
}

TEST_F(InferenceTest, InitSaysThatItsSeedIsZero) {
  EXPECT_NE(Run("init --help").out.find("0 if not given"), std::string::npos);
}

// The same text is the same number of bytes at every option.
TEST_F(InferenceTest, SizesHaveOneMeaning) {
  const auto needed = [&](const char* size) {
    const Result result = Run("generate " + Path("model") +
                              " --quiet --prompt x --max-tokens 300 --cache-memory " + size);
    return result.err.substr(0, result.err.find(" hold"));
  };
  EXPECT_EQ(needed("1.024kb"), needed("1024"));
  EXPECT_EQ(needed("1.024K"), needed("1024B"));
  EXPECT_EQ(needed("1KiB"), needed("1024"));
  EXPECT_NE(needed("1KB"), needed("1024"));
  EXPECT_EQ(needed("1KB"), needed("1000"));
}

TEST_F(InferenceTest, AFullDiskIsAnError) {
  const std::string command = FATHOM_BINARY " inspect v3 >/dev/full 2>" + Path("err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_NE(Read(Path("err")).find("standard output"), std::string::npos);
}

TEST_F(InferenceTest, WhereNobodyReadsOnItEndsWithoutAWord) {
  const std::string command = FATHOM_BINARY " inspect v3 2>" + Path("err");
  FILE* const pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  pclose(pipe);
  EXPECT_EQ(Read(Path("err")), "");
}

TEST_F(InferenceTest, InspectCountsV3AsPublished) {
  const json v3 = RunJson("inspect v3 --json");
  EXPECT_NEAR(v3["parameters"]["total"].get<double>(), 671.03e9, 0.005e9);
  EXPECT_NEAR(v3["parameters"]["active"].get<double>(), 36.63e9, 0.005e9);
  EXPECT_EQ(v3["cache_bytes_per_token_bf16"]["own"], 70272);
}

// The report's 93.3 %: V2 as deployed, 6 bits an element, against DeepSeek 67B in bf16.
TEST_F(InferenceTest, InspectDerivesTheCacheReductionOfV2) {
  const std::string command = "inspect v2 --against deepseek-67b --cache-bits 6";
  const json cache = RunJson(command + " --json");
  EXPECT_EQ(cache["against"]["bytes"], 2 * 8 * 128 * 95 * 2);
  EXPECT_EQ(cache["model"]["bytes"], (512 + 64) * 60 * 6 / 8);
  EXPECT_NEAR(cache["percent_less"].get<double>(), 93.34, 0.005);
  EXPECT_NEAR(cache["percent_less_elements"].get<double>(), 82.24, 0.005);
  const std::string text = Run(command).out;
  for (const char* part : {"2 x 8 x 128 x 95 layers = 194560 elements x 16 bits = 389120 bytes",
                           "(512 + 64) x 60 layers = 34560 elements x 6 bits = 25920 bytes",
                           "1 - 25920 / 389120 = 93.34 % less"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  ExpectFailure("inspect v2 --against deepseek-68b", 2, "deepseek-67b");
  ExpectFailure("inspect v2 --cache-bits 6", 2, "--against");
}

TEST_F(InferenceTest, InspectDescribesDirectoriesAndFiles) {
  const json model = RunJson("inspect " + Path("model") + " --json");
  EXPECT_EQ(model["layers"]["total"], 2);
  EXPECT_EQ(model["layers"]["dense"], 1);
  // Every parameter once, and the copies of embedding and head in the MTP layer, in f32.
  EXPECT_EQ(model["weights"]["bytes_by_type"]["F32"].get<int64_t>(),
            4 * (model["parameters"]["total"].get<int64_t>() +
                 model["parameters"]["mtp"].get<int64_t>() + 2 * 4096 * 256));
  const json file = RunJson("inspect " + Path("model/model.safetensors") + " --json");
  EXPECT_EQ(file["tensors"].size(), model["weights"]["tensors"].get<size_t>());
  EXPECT_NE(Run("inspect " + Path("model")).out.find("2 (1 dense), 1 MTP"), std::string::npos);
}

TEST_F(InferenceTest, InitDependsOnItsSeedAlone) {
  for (const char* arguments : {"a --seed 3 --threads 1", "b --seed 3 --threads 2", "c --seed 4"}) {
    ASSERT_EQ(Run("init nano --layers 1 --quiet " + Path("") + arguments).code, 0);
  }
  const std::string a = Read(Path("a/model.safetensors"));
  EXPECT_TRUE(a == Read(Path("b/model.safetensors")));
  EXPECT_FALSE(a == Read(Path("c/model.safetensors")));
}

TEST_F(InferenceTest, GenerationDependsOnSeedNotOnThreadsOrCompany) {
  const std::string generate =
      "generate " + Path("model") + " --prompt 'class Error' --max-tokens 12 --json --seed ";
  const json alone = RunJson(generate + "5 --threads 1");
  const json among = RunJson(generate + "5 --threads 2 --n 4");
  EXPECT_EQ(alone["choices"][0], among["choices"][0]);
  EXPECT_NE(among["choices"][1]["tokens"], among["choices"][0]["tokens"]);
  EXPECT_NE(RunJson(generate + "6")["choices"][0]["tokens"], alone["choices"][0]["tokens"]);
  EXPECT_EQ(alone["choices"][0]["finish_reason"], "length");
  // Text streams to stdout, the prompt may come on stdin.
  const Result text =
      Run("generate " + Path("model") + " --prompt - --max-tokens 12 --seed 5", "class Error");
  EXPECT_EQ(text.out, alone["choices"][0]["text"].get<std::string>() + "\n");
  EXPECT_NE(text.err.find("tokens/s"), std::string::npos);
  EXPECT_EQ(Run("generate " + Path("model") + " --prompt x --max-tokens 2 --quiet").err, "");
}

TEST_F(InferenceTest, ScoresAreTheGeneratorsLogProbs) {
  for (const std::string dtype : {"f32", "bf16"}) {
    const json generated = RunJson("generate " + Path("model") +
                                   " --prompt 'class Error' --max-tokens 20 --seed 5 --json"
                                   " --dtype " +
                                   dtype);
    std::string ids;
    for (const json& id : generated["prompt_tokens"]) ids += id.dump() + " ";
    for (const json& id : generated["choices"][0]["tokens"]) ids += id.dump() + " ";
    const json scored =
        RunJson("score " + Path("model") + " --tokens - --threads 1 --json --dtype " + dtype, ids);
    const size_t prompt = generated["prompt_tokens"].size();
    const json logprobs = generated["choices"][0]["logprobs"];
    ASSERT_EQ(scored["logprobs"].size(), prompt + logprobs.size());
    EXPECT_TRUE(scored["logprobs"][0].is_null());
    for (size_t i = 0; i < logprobs.size(); ++i) {
      EXPECT_EQ(scored["logprobs"][prompt + i], logprobs[i]) << "token " << i << ", " << dtype;
    }
  }
}

TEST_F(InferenceTest, ScoreSumsUp) {
  const std::string text = "int main() { return 0; }";
  const json score = RunJson("score " + Path("model") + " --bos --json --text '" + text + "'");
  double total = 0;
  for (size_t i = 1; i < score["logprobs"].size(); ++i) total += score["logprobs"][i].get<double>();
  const double count = score["scored_tokens"].get<double>();
  EXPECT_NEAR(score["total_logprob"].get<double>(), total, 1e-9 * std::abs(total));
  EXPECT_NEAR(score["perplexity"].get<double>(), std::exp(-total / count), 1e-6);
  // With a begin token before it, every byte of the text is scored.
  EXPECT_EQ(score["scored_bytes"], text.size());
  EXPECT_NEAR(score["bits_per_byte"].get<double>(),
              -total / std::log(2.0) / static_cast<double>(text.size()), 1e-9);
  // In f32 the reference, in double, agrees to single precision.
  const json reference =
      RunJson("score " + Path("model") + " --bos --json --device reference --text '" + text + "'");
  EXPECT_NEAR(reference["total_logprob"].get<double>(), total, 1e-4 * std::abs(total));
}

TEST_F(InferenceTest, ChatAnswersEveryLine) {
  const std::string chat = "chat " + Path("model") + " --max-tokens 8 --seed 1 --temperature 0.5";
  const Result both = Run(chat, "hello\nand again\n");
  EXPECT_EQ(both.code, 0) << both.err;
  const Result first = Run(chat, "hello\n");
  EXPECT_GT(first.out.size(), 1U);
  EXPECT_TRUE(both.out.starts_with(first.out));
  EXPECT_GT(both.out.size(), first.out.size());
}

TEST_F(InferenceTest, ChatTellsItsCommandsAndSaysNoneToTheModel) {
  const std::string chat = "chat " + Path("model") + " --max-tokens 8 --seed 1 --temperature 0.5";
  const Result wrong = Run(chat, "/help me\nhello\n");
  EXPECT_EQ(wrong.code, 0);
  EXPECT_NE(wrong.err.find("no command /help: /new"), std::string::npos) << wrong.err;
  EXPECT_EQ(wrong.out, Run(chat, "hello\n").out);
}

TEST_F(InferenceTest, CtrlCStopsAnAnswerOrALineAndNotTheChat) {
  Terminal chat({"chat", Path("model"), "--max-tokens", "2000", "--seed", "1"});
  chat.Await("> ");
  chat.Type("half a li\x03");
  chat.Await("Ctrl-D leaves");
  chat.Await("> ");
  chat.Type("hello\n");
  chat.Await("hello\r\n");
  chat.AwaitMore();  // the answer has begun
  chat.Type("\x03");
  EXPECT_EQ(chat.Await("\r\n> ").find("Ctrl-D leaves"), std::string::npos) << "it had ended";
  chat.Type("\x03");
  chat.Await("Ctrl-D leaves");
  chat.Await("> ");
  chat.Type("\x04");
  EXPECT_EQ(chat.Status(), 0);
}

TEST_F(InferenceTest, ATermSignalEndsTheChat) {
  Terminal chat({"chat", Path("model"), "--seed", "1"});
  chat.Await("> ");
  chat.Signal(SIGTERM);
  EXPECT_EQ(chat.Status(), 0);
}

TEST_F(InferenceTest, ASignalIsSeenWhereverItComes) {
  for (int i = 0; i < 20; ++i) {
    Terminal chat({"chat", Path("model"), "--seed", "1"});
    chat.Await("> ");
    for (int line = 0; line < i; ++line) {
      chat.Type("x\x03");
      chat.Await("> ");
    }
    chat.Signal(SIGTERM);
    EXPECT_EQ(chat.Status(), 0);
  }
}

// The model is a nano one: it has an MTP module.
TEST_F(InferenceTest, GuessingAheadChangesNoAnswer) {
  const std::string generate =
      "generate " + Path("model") +
      " --prompt hello --max-tokens 60 --ignore-eos --seed 4 --json --draft ";
  const json off = json::parse(Run(generate + "off").out);
  EXPECT_EQ(off["usage"][0]["guessed_tokens"], 0);
  for (const char* mode : {"on --draft-tokens 3", "auto"}) {
    const json with = json::parse(Run(generate + mode).out);
    EXPECT_EQ(with["choices"], off["choices"]) << mode;
    EXPECT_GT(with["usage"][0]["guessed_tokens"], 0) << mode;
    EXPECT_LE(with["usage"][0]["accepted_tokens"], with["usage"][0]["guessed_tokens"]) << mode;
  }
}

TEST_F(InferenceTest, ChatAnswersInJson) {
  const std::string chat = "chat " + Path("model") + " --max-tokens 8 --seed 1 --temperature 0.5";
  const Result lines = Run(chat + " --json", "hello\nand again\n");
  ASSERT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 2) << lines.out;
  const json first = json::parse(lines.out.substr(0, lines.out.find('\n')));
  EXPECT_EQ(first["content"].get<std::string>() + "\n", Run(chat, "hello\n").out);
  EXPECT_EQ(first["tokens"].size(), 8U);
  EXPECT_EQ(first["finish_reason"], "length");
  EXPECT_EQ(first["seed"], 1);
}

// A turn computes what is new in it: everything before is in the cache, but for the row of the last
// token that was written, which nobody needed before.
TEST_F(InferenceTest, ChatDoesNotComputeItsHistoryAgain) {
  const Result lines =
      Run("chat " + Path("model") + " --max-tokens 30 --seed 1 --temperature 1 --json",
          "hello\nand again\nand a third time\n");
  ASSERT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 3) << lines.err;
  std::istringstream stream(lines.out);
  std::string line;
  int64_t before = 0;
  while (std::getline(stream, line)) {
    const json answer = json::parse(line);
    EXPECT_EQ(answer["cached_tokens"], std::max<int64_t>(0, before - 1));
    before = answer["prompt_tokens"].get<int64_t>() + static_cast<int64_t>(answer["tokens"].size());
  }
}

TEST_F(InferenceTest, ChoicesInLittleMemoryAreTheSame) {
  const std::string generate = "generate " + Path("model") +
                               " --prompt 'class Error' --max-tokens 150 --n 6 --ignore-eos --json "
                               "--seed 5";
  const json all = RunJson(generate), few = RunJson(generate + " --cache-memory 600KB");
  EXPECT_EQ(all["choices"], few["choices"]);
  int64_t preemptions = 0, cached = 0;
  for (const json& usage : few["usage"]) preemptions += usage["preemptions"].get<int64_t>();
  for (const json& usage : all["usage"]) cached += usage["cached_tokens"].get<int64_t>();
  EXPECT_GT(preemptions, 0);
  EXPECT_EQ(cached, 5 * (static_cast<int64_t>(all["prompt_tokens"].size()) - 1));
  ExpectFailure(generate.substr(0, generate.find("--json")) + " --cache-memory 50KB", 1,
                "--cache-memory");
}

TEST_F(InferenceTest, InspectCountsAnFp8Cache) {
  EXPECT_EQ(RunJson("inspect v3 --cache-dtype fp8 --json")["cache_bytes_per_token_fp8"]["own"],
            61 * 656);
}

TEST_F(InferenceTest, BenchReportsEveryCase) {
  const json bench =
      RunJson("bench " + Path("model") +
              " --prompt 16 --generate 4 --depth 0,100 --batch 1,3 --repeat 2 --json");
  // Prefill once a depth, decode for each batch.
  ASSERT_EQ(bench["results"].size(), 6U);
  for (const json& result : bench["results"]) {
    EXPECT_EQ(result["seconds"].size(), 2U);
    EXPECT_GT(result["tokens_per_second"].get<double>(), 0);
    EXPECT_EQ(result["tokens"], result["test"] == "prefill" ? 16 : 4 * result["batch"].get<int>());
  }
  EXPECT_GT(bench["memory_bytes"]["peak_resident"].get<int64_t>(), 0);
  // Without --json the table is the result.
  const Result table =
      Run("bench " + Path("model") + " --prompt 4 --generate 2 --batch 1 --repeat 1 --quiet");
  EXPECT_NE(table.out.find("prefill"), std::string::npos);
  EXPECT_EQ(table.err, "");
}

}  // namespace
}  // namespace fathom::test
