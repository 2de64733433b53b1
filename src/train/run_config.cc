#include "train/run_config.h"

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "train/toml_reader.h"

namespace fathom {
namespace {

constexpr double kHuge = 1e300;

std::filesystem::path PathIn(const std::filesystem::path& base, const std::string& path) {
  return path.empty() ? std::filesystem::path() : (base / path).lexically_normal();
}

SourceSpec ReadSource(TomlTable table, const std::filesystem::path& base) {
  SourceSpec source;
  const auto path = table.OptionalString("path");
  if (!path || path->empty())
    throw Error(table.PathOf("path"), "is missing", "give a file or a folder");
  source.path = PathIn(base, *path);
  source.name = table.String("name", "");
  source.weight = table.Number("weight", 1, 1e-9, 1e9);
  source.extensions = table.Strings("extensions", source.extensions);
  source.text_field = table.String("text_field", source.text_field);
  source.skip_bad_lines = table.Bool("skip_bad_lines", false);
  source.document_separator = table.String("document_separator", "");
  source.strip_license_header = table.Bool("strip_license_header", false);
  table.Finish();
  return source;
}

void ReadSections(TomlTable& root, const std::filesystem::path& base, RunConfig& config) {
  TomlTable model = root.Table("model");
  config.model.preset = model.String("preset", "");
  config.model.config = PathIn(base, model.String("config", ""));
  config.model.init_from = PathIn(base, model.String("init_from", ""));
  const double range = model.Number("initializer_range", 0, 0, 10);
  if (range > 0) config.model.initializer_range = range;
  config.model.mtp = model.Bool("mtp", true);
  model.Finish();

  TomlTable tokenizer = root.Table("tokenizer");
  config.tokenizer.path = PathIn(base, tokenizer.String("path", ""));
  config.tokenizer.train_bytes = tokenizer.Int("train_bytes", config.tokenizer.train_bytes, 1);
  tokenizer.Finish();

  TomlTable data = root.Table("data");
  config.data.sequence_length =
      data.Int("sequence_length", config.data.sequence_length, 2, 1 << 24);
  config.data.document_mask = data.Bool("document_mask", config.data.document_mask);
  config.data.held_out_fraction =
      data.Number("held_out_fraction", config.data.held_out_fraction, 0, 0.9);
  config.data.fim_rate = data.Number("fim_rate", 0, 0, 1);
  for (TomlTable& source : data.Tables("source"))
    config.data.sources.push_back(ReadSource(source, base));
  data.Finish();

  TomlTable optimizer = root.Table("optimizer");
  auto& o = config.optimizer;
  o.lr = optimizer.Number("lr", o.lr, 0, 1e3);
  o.beta1 = optimizer.Number("beta1", o.beta1, 0, 0.9999999);
  o.beta2 = optimizer.Number("beta2", o.beta2, 0, 0.9999999);
  o.eps = optimizer.Number("eps", o.eps, 1e-30, 1);
  o.weight_decay = optimizer.Number("weight_decay", o.weight_decay, 0, 100);
  o.clip = optimizer.Number("clip", o.clip, 1e-9, kHuge);
  o.moments = optimizer.Choice("moments", o.moments, {"f32", "bf16"});
  optimizer.Finish();

  TomlTable schedule = root.Table("schedule");
  auto& s = config.schedule;
  s.type = schedule.Choice("type", s.type, {"wsd", "cosine", "constant"});
  s.warmup_steps = schedule.Int("warmup_steps", s.warmup_steps, 0);
  s.decay_fraction = schedule.Number("decay_fraction", s.decay_fraction, 0, 1);
  s.min_lr_ratio = schedule.Number("min_lr_ratio", s.min_lr_ratio, 0, 1);
  schedule.Finish();

  TomlTable precision = root.Table("precision");
  auto& p = config.precision;
  p.recipe = precision.Choice("recipe", p.recipe, {"bf16", "f32"});
  p.recompute = precision.Bool("recompute", p.recompute);
  p.attention = precision.Choice("attention", p.attention, {"expanded", "absorbed"});
  precision.Finish();

  TomlTable balance = root.Table("balance");
  auto& b = config.balance;
  b.bias_speed = balance.Number("bias_speed", b.bias_speed, 0, 1);
  b.bias_stop_fraction = balance.Number("bias_stop_fraction", b.bias_stop_fraction, 0, 1);
  b.sequence_alpha = balance.Number("sequence_alpha", b.sequence_alpha, 0, 10);
  balance.Finish();

  TomlTable mtp = root.Table("mtp");
  auto& m = config.mtp;
  m.weight = mtp.Number("weight", m.weight, 0, 100);
  m.late_weight = mtp.Number("late_weight", m.late_weight, 0, 100);
  m.switch_fraction = mtp.Number("switch_fraction", m.switch_fraction, 0, 1);
  mtp.Finish();

  for (TomlTable& table : root.Tables("extension")) {
    RunConfig::Extension extension;
    for (const char* key : {"steps", "sequence_length", "factor", "lr"}) table.Require(key);
    extension.steps = table.Int("steps", 0, 1);
    extension.sequence_length = table.Int("sequence_length", 0, 2, 1 << 24);
    extension.batch_tokens = table.Int("batch_tokens", config.batch_tokens, 1);
    extension.factor = table.Number("factor", 0, 1, 1e6);
    extension.lr = table.Number("lr", 0, 0, 1e3);
    table.Finish();
    config.extensions.push_back(extension);
  }

  TomlTable validation = root.Table("validation");
  auto& v = config.validation;
  v.every = validation.Int("every", v.every, 0);
  v.tokens = validation.Int("tokens", v.tokens, 1);
  v.byte_baseline = validation.Bool("byte_baseline", v.byte_baseline);
  validation.Finish();

  TomlTable sample = root.Table("sample");
  config.sample.every = sample.Int("every", 0, 0);
  config.sample.prompt = sample.String("prompt", "");
  config.sample.tokens = sample.Int("tokens", config.sample.tokens, 1, 1 << 20);
  config.sample.temperature = sample.Number("temperature", config.sample.temperature, 0, 100);
  sample.Finish();

  TomlTable checkpoint = root.Table("checkpoint");
  config.checkpoint.every = checkpoint.Int("every", config.checkpoint.every, 0);
  config.checkpoint.keep = checkpoint.Int("keep", config.checkpoint.keep, 1);
  checkpoint.Finish();
}

void CheckTogether(const RunConfig& config, std::string_view where) {
  const auto require = [&](bool holds, const std::string& what, std::string_view hint = {}) {
    if (!holds) throw Error(where, what, hint);
  };
  const int starts =
      !config.model.preset.empty() + !config.model.config.empty() + !config.model.init_from.empty();
  require(starts == 1, "[model] needs exactly one of preset, config and init_from",
          "for example preset = \"nano\"");
  require(!config.output.empty(), "output is missing",
          "the run directory, for example output = \"runs/first\"");
  require(!config.data.sources.empty(), "there is no [[data.source]]",
          "give at least one, for example [[data.source]] path = \"texts\"");
  const auto whole_rows = [&](int64_t tokens, int64_t length, std::string_view key) {
    require(tokens % length == 0,
            fmt::format("{} {} is not a multiple of the sequence length {}", key, tokens, length));
  };
  whole_rows(config.batch_tokens, config.data.sequence_length, "batch_tokens");
  whole_rows(config.micro_batch_tokens, config.data.sequence_length, "micro_batch_tokens");
  for (const RunConfig::Extension& extension : config.extensions) {
    whole_rows(extension.batch_tokens, extension.sequence_length, "extension.batch_tokens");
  }
}

}  // namespace

RunConfig RunConfig::Load(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides) {
  return Parse(ReadFile(path), path.string(), path.parent_path(), overrides);
}

RunConfig RunConfig::Parse(std::string_view text, std::string_view where,
                           const std::filesystem::path& base,
                           const std::vector<std::string>& overrides) {
  const toml::table table = ParseToml(text, where, overrides);
  TomlTable root(&table, std::string(where));
  RunConfig config;
  config.output = PathIn(base, root.String("output", ""));
  config.steps = root.Int("steps", config.steps, 1);
  config.batch_tokens = root.Int("batch_tokens", config.batch_tokens, 1);
  config.micro_batch_tokens = root.Int("micro_batch_tokens", 0, 0);
  config.seed = static_cast<uint64_t>(root.Int("seed", 1, 0));
  config.ema_decay = root.Number("ema_decay", 0, 0, 0.9999999);
  ReadSections(root, base, config);
  root.Finish();
  CheckTogether(config, where);
  return config;
}

std::string RunConfig::ToToml() const {
  const auto absolute = [](const std::filesystem::path& path) {
    return path.empty() ? std::string()
                        : std::filesystem::absolute(path).lexically_normal().string();
  };
  toml::table root;
  root.insert("output", absolute(output));
  root.insert("steps", steps);
  root.insert("batch_tokens", batch_tokens);
  root.insert("micro_batch_tokens", micro_batch_tokens);
  root.insert("seed", static_cast<int64_t>(seed));
  root.insert("ema_decay", ema_decay);
  root.insert("model", toml::table{{"preset", model.preset},
                                   {"config", absolute(model.config)},
                                   {"init_from", absolute(model.init_from)},
                                   {"initializer_range", model.initializer_range.value_or(0)},
                                   {"mtp", model.mtp}});
  root.insert("tokenizer", toml::table{{"path", absolute(tokenizer.path)},
                                       {"train_bytes", tokenizer.train_bytes}});
  toml::array sources;
  for (const SourceSpec& source : data.sources) {
    toml::array extension_list;
    for (const std::string& extension : source.extensions) extension_list.push_back(extension);
    sources.push_back(toml::table{{"path", absolute(source.path)},
                                  {"name", source.name},
                                  {"weight", source.weight},
                                  {"extensions", extension_list},
                                  {"text_field", source.text_field},
                                  {"skip_bad_lines", source.skip_bad_lines},
                                  {"document_separator", source.document_separator},
                                  {"strip_license_header", source.strip_license_header}});
  }
  root.insert("data", toml::table{{"sequence_length", data.sequence_length},
                                  {"document_mask", data.document_mask},
                                  {"held_out_fraction", data.held_out_fraction},
                                  {"fim_rate", data.fim_rate},
                                  {"source", sources}});
  root.insert("optimizer", toml::table{{"lr", optimizer.lr},
                                       {"beta1", optimizer.beta1},
                                       {"beta2", optimizer.beta2},
                                       {"eps", optimizer.eps},
                                       {"weight_decay", optimizer.weight_decay},
                                       {"clip", optimizer.clip},
                                       {"moments", optimizer.moments}});
  root.insert("schedule", toml::table{{"type", schedule.type},
                                      {"warmup_steps", schedule.warmup_steps},
                                      {"decay_fraction", schedule.decay_fraction},
                                      {"min_lr_ratio", schedule.min_lr_ratio}});
  root.insert("precision", toml::table{{"recipe", precision.recipe},
                                       {"recompute", precision.recompute},
                                       {"attention", precision.attention}});
  root.insert("balance", toml::table{{"bias_speed", balance.bias_speed},
                                     {"bias_stop_fraction", balance.bias_stop_fraction},
                                     {"sequence_alpha", balance.sequence_alpha}});
  root.insert("mtp", toml::table{{"weight", mtp.weight},
                                 {"late_weight", mtp.late_weight},
                                 {"switch_fraction", mtp.switch_fraction}});
  if (!extensions.empty()) {
    toml::array stages;
    for (const Extension& extension : extensions) {
      stages.push_back(toml::table{{"steps", extension.steps},
                                   {"sequence_length", extension.sequence_length},
                                   {"batch_tokens", extension.batch_tokens},
                                   {"factor", extension.factor},
                                   {"lr", extension.lr}});
    }
    root.insert("extension", stages);
  }
  root.insert("validation", toml::table{{"every", validation.every},
                                        {"tokens", validation.tokens},
                                        {"byte_baseline", validation.byte_baseline}});
  root.insert("sample", toml::table{{"every", sample.every},
                                    {"prompt", sample.prompt},
                                    {"tokens", sample.tokens},
                                    {"temperature", sample.temperature}});
  root.insert("checkpoint", toml::table{{"every", checkpoint.every}, {"keep", checkpoint.keep}});
  std::ostringstream text;
  text << root << "\n";
  return text.str();
}

}  // namespace fathom
