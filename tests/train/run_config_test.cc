#include "train/run_config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

constexpr char kMinimal[] =
    "output = 'out'\nmodel.preset = 'nano'\n[[data.source]]\npath = 'texts'\n";

RunConfig Parse(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return RunConfig::Parse(text, "run.toml", "/base", overrides);
}
// The smallest configuration with one more setting.
RunConfig With(const std::string& setting) { return Parse(kMinimal, {setting}); }

TEST(RunConfig, TheSmallestHasTheDefaultsAndPathsFromTheFilesFolder) {
  const RunConfig config = Parse(kMinimal);
  const RunConfig defaults;
  EXPECT_EQ(config.output, "/base/out");
  ASSERT_EQ(config.data.sources.size(), 1);
  EXPECT_EQ(config.data.sources[0].path, "/base/texts");
  EXPECT_EQ(config.data.sources[0].weight, 1);
  EXPECT_EQ(config.data.sources[0].extensions, SourceSpec{}.extensions);
  EXPECT_EQ(config.steps, defaults.steps);
  EXPECT_EQ(config.optimizer.lr, defaults.optimizer.lr);
  EXPECT_EQ(config.schedule.type, "wsd");
  EXPECT_EQ(config.model.initializer_range, 0);
  EXPECT_TRUE(config.extensions.empty());
  EXPECT_TRUE(config.tokenizer.path.empty());
}

TEST(RunConfig, AbsolutePathsStay) {
  EXPECT_EQ(With("output=/elsewhere/run").output, "/elsewhere/run");
  EXPECT_EQ(With("output=../run").output, "/run");
}

TEST(RunConfig, LoadTakesPathsFromTheFilesFolder) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "run.toml") << kMinimal;
  EXPECT_EQ(RunConfig::Load(directory / "run.toml", {}).output, directory / "out");
  EXPECT_ERROR(RunConfig::Load(directory / "missing.toml", {}), "missing.toml");
}

TEST(RunConfig, MissingAndContradictoryValuesAreErrors) {
  EXPECT_ERROR(Parse("model.preset = 'nano'\n[[data.source]]\npath = 'x'\n"), "output is missing");
  EXPECT_ERROR(Parse("output = 'o'\n[[data.source]]\npath = 'x'\n"), "exactly one of preset");
  EXPECT_ERROR(With("model.config=c.json"), "exactly one of preset");
  EXPECT_ERROR(With("model.init_from=m"), "exactly one of preset");
  EXPECT_ERROR(Parse("output = 'o'\nmodel.preset = 'nano'\n"), "[[data.source]]");
  EXPECT_ERROR(Parse("output = 'o'\nmodel.preset = 'nano'\n[[data.source]]\nname = 'x'\n"),
               "data.source[0].path: is missing");
  EXPECT_ERROR(With("batch_tokens=1000"), "not a multiple of the sequence length 512");
  EXPECT_ERROR(With("micro_batch_tokens=100"), "micro_batch_tokens 100 is not a multiple");
  const std::string stage = std::string(kMinimal) + "[[extension]]\nsteps = 5\nfactor = 4\n";
  EXPECT_ERROR(Parse(stage + "lr = 0.1\n"), "extension[0].sequence_length: is missing");
  EXPECT_ERROR(Parse(stage + "sequence_length = 1024\n"), "extension[0].lr: is missing");
  EXPECT_ERROR(Parse(stage + "sequence_length = 1000\nlr = 0.1\n"),
               "extension.batch_tokens 8192 is not a multiple of the sequence length 1000");
  EXPECT_NO_THROW(Parse(stage + "sequence_length = 1024\nlr = 0.1\n"));
}

TEST(RunConfig, ValuesOutOfRangeAreErrors) {
  for (const char* setting : {"steps=0",
                              "steps=-1",
                              "batch_tokens=0",
                              "micro_batch_tokens=-512",
                              "seed=-1",
                              "ema_decay=1",
                              "ema_decay=-0.1",
                              "data.sequence_length=1",
                              "data.held_out_fraction=0.95",
                              "data.held_out_fraction=-0.1",
                              "data.fim_rate=1.1",
                              "optimizer.lr=-1",
                              "optimizer.beta1=1",
                              "optimizer.beta2=1.0",
                              "optimizer.eps=0",
                              "optimizer.weight_decay=-1",
                              "optimizer.clip=0",
                              "optimizer.clip=-1",
                              "optimizer.clip=inf",
                              "optimizer.lr=nan",
                              "schedule.warmup_steps=-1",
                              "schedule.decay_fraction=1.5",
                              "schedule.min_lr_ratio=2",
                              "balance.bias_speed=-1",
                              "balance.bias_stop_fraction=2",
                              "balance.sequence_alpha=-1",
                              "balance.load_entries=-1",
                              "mtp.weight=-1",
                              "mtp.switch_fraction=1.1",
                              "validation.every=-1",
                              "validation.tokens=0",
                              "sample.every=-1",
                              "sample.tokens=0",
                              "sample.temperature=-1",
                              "checkpoint.every=-1",
                              "checkpoint.keep=0",
                              "tokenizer.train_bytes=0",
                              "model.initializer_range=-1"}) {
    SCOPED_TRACE(setting);
    EXPECT_ERROR(With(setting), "out of range");
  }
  for (const char* setting :
       {"schedule.type=linear", "precision.recipe=fp4", "precision.scales=fp32",
        "precision.attention=flash", "optimizer.moments=f16", "model.preset=nanoo"}) {
    SCOPED_TRACE(setting);
    EXPECT_ERROR(With(setting), "is not one of");
  }
}

TEST(RunConfig, WrongTypesAreErrors) {
  for (const char* setting : {"output=1",
                              "steps=1.5",
                              "steps='10'",
                              "seed=x",
                              "ema_decay=a",
                              "model=1",
                              "model.preset=3",
                              "model.mtp=1",
                              "model.initializer_range=a",
                              "tokenizer.path=true",
                              "tokenizer.train_bytes=1e6",
                              "data.sequence_length=64.0",
                              "data.document_mask=yes",
                              "data.fim_rate=[]",
                              "optimizer=[]",
                              "optimizer.lr='1e-3'",
                              "optimizer.moments=32",
                              "schedule.type=1",
                              "schedule.warmup_steps=1.0",
                              "precision.recompute=1",
                              "balance.bias_speed=x",
                              "mtp.weight=true",
                              "extension=1",
                              "extension=[1]",
                              "extension={}",
                              "validation.byte_baseline=0",
                              "sample.prompt=1",
                              "checkpoint.every=often",
                              "data.source=1",
                              "data.source=[1]",
                              "data.source=['texts']"}) {
    SCOPED_TRACE(setting);
    EXPECT_ERROR(With(setting), "expected ");
  }
}

TEST(RunConfig, UnknownKeysNameTheNearestInEverySection) {
  for (const auto& [setting, nearest] : std::vector<std::pair<std::string, std::string>>{
           {"step=1", "'steps'"},
           {"optimiser.lr=1", "'optimizer'"},
           {"optimizer.beta_1=1", "'optimizer.beta1'"},
           {"model.prest=1", "'model.preset'"},
           {"tokenizer.pat=1", "'tokenizer.path'"},
           {"data.sequence_len=1", "'data.sequence_length'"},
           {"data.sources=1", "'data.source'"},
           {"schedule.warmup=1", "'schedule.warmup_steps'"},
           {"precision.recipee=1", "'precision.recipe'"},
           {"balance.bias_sped=1", "'balance.bias_speed'"},
           {"mtp.wieght=1", "'mtp.weight'"},
           {"extensions=[]", "'extension'"},
           {"validation.token=1", "'validation.tokens'"},
           {"sample.promt=1", "'sample.prompt'"},
           {"checkpoint.kep=1", "'checkpoint.keep'"}}) {
    SCOPED_TRACE(setting);
    EXPECT_ERROR(With(setting), "did you mean " + nearest);
  }
  EXPECT_ERROR(Parse(std::string(kMinimal) + "wight = 2\n"),
               "did you mean 'data.source[0].weight'");
  EXPECT_ERROR(Parse(std::string(kMinimal) +
                     "[[extension]]\nsteps=1\nsequence_length=512\nfactor=2\nlr=1\nfacto=1\n"),
               "did you mean 'extension[0].factor'");
}

TEST(RunConfig, ValuesNameEveryKey) {
  const auto values = With("data.held_out_fraction=0.1").Values();
  EXPECT_EQ(values.at("data.held_out_fraction"), "0.1");
  EXPECT_EQ(values.at("data.source[0].path"), "'/base/texts'");
  EXPECT_EQ(values.at("seed"), "1");
  EXPECT_EQ(values.at("data.source[0].strip_license_header"), "false");
}

TEST(RunConfig, PrecisionAndFormFollowTheirNames) {
  EXPECT_EQ(With("precision.recipe=f32").ModelPrecision().act, DType::kF32);
  EXPECT_EQ(With("precision.recipe=bf16").ModelPrecision().act, DType::kBF16);
  EXPECT_EQ(With("precision.recipe=fp8").ModelPrecision().projection, DType::kE4M3);
  for (const auto& [scales, codes] :
       {std::pair{"ue8m0", DType::kE4M3Ue8m0}, std::pair{"tensor", DType::kE4M3Tensor}}) {
    const RunConfig config =
        Parse(kMinimal, {"precision.recipe=fp8", std::string("precision.scales=") + scales});
    EXPECT_EQ(config.ModelPrecision().projection, codes);
  }
  EXPECT_EQ(With("precision.attention=absorbed").Form(), AttentionForm::kAbsorbed);
  EXPECT_EQ(With("precision.attention=expanded").Form(), AttentionForm::kExpanded);
}

void ExpectSame(const RunConfig& a, const RunConfig& b) {
  EXPECT_EQ(a.output, b.output);
  EXPECT_EQ(a.model.preset, b.model.preset);
  EXPECT_EQ(a.model.config, b.model.config);
  EXPECT_EQ(a.model.init_from, b.model.init_from);
  EXPECT_EQ(a.model.initializer_range, b.model.initializer_range);
  EXPECT_EQ(a.model.mtp, b.model.mtp);
  EXPECT_EQ(a.tokenizer.path, b.tokenizer.path);
  EXPECT_EQ(a.tokenizer.train_bytes, b.tokenizer.train_bytes);
  ASSERT_EQ(a.data.sources.size(), b.data.sources.size());
  for (size_t i = 0; i < a.data.sources.size(); ++i) {
    const SourceSpec &x = a.data.sources[i], &y = b.data.sources[i];
    EXPECT_EQ(x.path, y.path);
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.weight, y.weight);
    EXPECT_EQ(x.extensions, y.extensions);
    EXPECT_EQ(x.text_field, y.text_field);
    EXPECT_EQ(x.skip_bad_lines, y.skip_bad_lines);
    EXPECT_EQ(x.document_separator, y.document_separator);
    EXPECT_EQ(x.strip_license_header, y.strip_license_header);
  }
  EXPECT_EQ(a.data.sequence_length, b.data.sequence_length);
  EXPECT_EQ(a.data.document_mask, b.data.document_mask);
  EXPECT_EQ(a.data.held_out_fraction, b.data.held_out_fraction);
  EXPECT_EQ(a.data.fim_rate, b.data.fim_rate);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.batch_tokens, b.batch_tokens);
  EXPECT_EQ(a.micro_batch_tokens, b.micro_batch_tokens);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.optimizer.lr, b.optimizer.lr);
  EXPECT_EQ(a.optimizer.beta1, b.optimizer.beta1);
  EXPECT_EQ(a.optimizer.beta2, b.optimizer.beta2);
  EXPECT_EQ(a.optimizer.eps, b.optimizer.eps);
  EXPECT_EQ(a.optimizer.weight_decay, b.optimizer.weight_decay);
  EXPECT_EQ(a.optimizer.clip, b.optimizer.clip);
  EXPECT_EQ(a.optimizer.moments, b.optimizer.moments);
  EXPECT_EQ(a.schedule.type, b.schedule.type);
  EXPECT_EQ(a.schedule.warmup_steps, b.schedule.warmup_steps);
  EXPECT_EQ(a.schedule.decay_fraction, b.schedule.decay_fraction);
  EXPECT_EQ(a.schedule.min_lr_ratio, b.schedule.min_lr_ratio);
  EXPECT_EQ(a.precision.recipe, b.precision.recipe);
  EXPECT_EQ(a.precision.recompute, b.precision.recompute);
  EXPECT_EQ(a.precision.attention, b.precision.attention);
  EXPECT_EQ(a.balance.bias_speed, b.balance.bias_speed);
  EXPECT_EQ(a.balance.bias_stop_fraction, b.balance.bias_stop_fraction);
  EXPECT_EQ(a.balance.sequence_alpha, b.balance.sequence_alpha);
  EXPECT_EQ(a.balance.load_entries, b.balance.load_entries);
  EXPECT_EQ(a.mtp.weight, b.mtp.weight);
  EXPECT_EQ(a.mtp.late_weight, b.mtp.late_weight);
  EXPECT_EQ(a.mtp.switch_fraction, b.mtp.switch_fraction);
  EXPECT_EQ(a.ema_decay, b.ema_decay);
  ASSERT_EQ(a.extensions.size(), b.extensions.size());
  for (size_t i = 0; i < a.extensions.size(); ++i) {
    EXPECT_EQ(a.extensions[i].steps, b.extensions[i].steps);
    EXPECT_EQ(a.extensions[i].sequence_length, b.extensions[i].sequence_length);
    EXPECT_EQ(a.extensions[i].batch_tokens, b.extensions[i].batch_tokens);
    EXPECT_EQ(a.extensions[i].factor, b.extensions[i].factor);
    EXPECT_EQ(a.extensions[i].lr, b.extensions[i].lr);
  }
  EXPECT_EQ(a.validation.every, b.validation.every);
  EXPECT_EQ(a.validation.tokens, b.validation.tokens);
  EXPECT_EQ(a.byte_baseline, b.byte_baseline);
  EXPECT_EQ(a.sample.every, b.sample.every);
  EXPECT_EQ(a.sample.prompt, b.sample.prompt);
  EXPECT_EQ(a.sample.tokens, b.sample.tokens);
  EXPECT_EQ(a.sample.temperature, b.sample.temperature);
  EXPECT_EQ(a.checkpoint.every, b.checkpoint.every);
  EXPECT_EQ(a.checkpoint.best, b.checkpoint.best);
  EXPECT_EQ(a.checkpoint.keep, b.checkpoint.keep);
}

TEST(RunConfig, ToTomlHasTheShortestDigits) {
  RunConfig config;
  config.ema_decay = 0.9;
  config.data.sources = {{.path = "a", .weight = 0.1}, {.path = "b", .weight = 3}};
  const std::string text = config.ToToml();
  for (const char* line : {"ema_decay = 0.9\n", "\n[[data.source]]\n", "weight = 0.1\n"})
    EXPECT_NE(text.find(line), std::string::npos) << text;
}

TEST(RunConfig, ToTomlReadsBackFieldByField) {
  ExpectSame(Parse(Parse(kMinimal).ToToml()), Parse(kMinimal));

  // No field at its default; numbers that need all their digits; texts that need quoting.
  RunConfig c;
  c.output = "/runs/a 'b' \"c\"";
  c.model.config = "/models/x.json";
  c.model.initializer_range = 1.0 / 3;
  c.model.mtp = false;
  c.tokenizer.path = "/tok";
  c.tokenizer.train_bytes = 12345;
  c.data.sources.resize(2);
  c.data.sources[0] = {.path = "/d/one",
                       .name = "eins \\ ü \n zwei",
                       .weight = 0.1 + 0.2,
                       .extensions = {"", ".h", "it's"},
                       .text_field = "body\t",
                       .skip_bad_lines = true,
                       .document_separator = "<|end|>\n'''\"\"\"\r\n",
                       .strip_license_header = true};
  c.data.sources[1].path = "/d/two";
  c.data.sources[1].extensions = {};
  c.data.sequence_length = 96;
  c.data.document_mask = false;
  c.data.held_out_fraction = 0.123456789012345678;
  c.data.fim_rate = 1e-7;
  c.steps = 77;
  c.batch_tokens = 960;
  c.micro_batch_tokens = 96;
  c.seed = (uint64_t{1} << 53) - 1;
  c.optimizer = {.lr = 1.0 / 7,
                 .beta1 = 0.91,
                 .beta2 = 0.9999999,
                 .eps = 1e-30,
                 .weight_decay = 0.7,
                 .clip = 1e300,
                 .moments = "bf16"};
  c.schedule = {.type = "cosine", .warmup_steps = 0, .decay_fraction = 1, .min_lr_ratio = 0};
  c.precision = {.recipe = "f32", .scales = "ue8m0", .recompute = true, .attention = "absorbed"};
  c.balance = {
      .bias_speed = 0, .bias_stop_fraction = 0.5, .sequence_alpha = 3e-5, .load_entries = 7};
  c.mtp = {.weight = 1, .late_weight = 0, .switch_fraction = 0.25};
  c.ema_decay = 0.9995;
  c.extensions = {
      {.steps = 3, .sequence_length = 192, .batch_tokens = 384, .factor = 2.5, .lr = 1e-5},
      {.steps = 4, .sequence_length = 384, .batch_tokens = 768, .factor = 8, .lr = 0}};
  c.validation = {.every = 0, .tokens = 1};
  c.byte_baseline = false;
  c.sample = {
      .every = 9, .prompt = "Es war einmal\n\"…\" \\u0041 \x01", .tokens = 5, .temperature = 0};
  c.checkpoint = {.every = 0, .keep = 1, .best = true};
  ExpectSame(Parse(c.ToToml()), c);

  RunConfig from = Parse(kMinimal);
  from.model.preset.clear();
  from.model.init_from = "/models/m";
  ExpectSame(Parse(from.ToToml()), from);
}

}  // namespace
}  // namespace fathom
