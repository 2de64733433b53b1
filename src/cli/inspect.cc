#include "cli/inspect.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cache_comparison.h"
#include "cli/common.h"
#include "cli/named_model.h"
#include "formats/gguf_file.h"
#include "formats/mapped_model.h"
#include "formats/safetensors.h"
#include "infer/model_summary.h"
#include "model/parameters.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::string_view kCacheKey = "cache_bytes_per_token_";

// cache_dtype: "bf16" or "fp8", what the cache's rows are stored as.
ordered_json DescribeConfig(const ModelConfig& config, const std::string& cache_dtype) {
  const ParameterCounts counts = CountParameters(config);
  const CacheSummary cache =
      SummarizeCache(config, cache_dtype == "fp8" ? CacheFormat::kFp8Latent : CacheFormat::kAct);
  ordered_json json;
  json["family"] = Name(config.family);
  json["parameters"] = {{"total", counts.total}, {"active", counts.active}, {"mtp", counts.mtp}};
  const int64_t dense = config.n_routed_experts > 0
                            ? std::min(config.first_k_dense_replace, config.num_hidden_layers)
                            : config.num_hidden_layers;
  json["layers"] = {{"total", config.num_hidden_layers},
                    {"dense", dense},
                    {"mtp", config.num_nextn_predict_layers}};
  json["experts"] = {{"routed", config.n_routed_experts},
                     {"shared", config.n_shared_experts},
                     {"per_token", config.n_routed_experts > 0 ? config.num_experts_per_tok : 0}};
  json["hidden_size"] = config.hidden_size;
  if (config.latent_attention()) {
    json["attention"] = {{"kind", "latent"},
                         {"heads", config.num_attention_heads},
                         {"q_lora_rank", config.q_lora_rank},
                         {"kv_lora_rank", config.kv_lora_rank},
                         {"qk_nope_head_dim", config.qk_nope_head_dim},
                         {"qk_rope_head_dim", config.qk_rope_head_dim},
                         {"v_head_dim", config.v_head_dim}};
  } else {
    json["attention"] = {{"kind", "grouped-query"},
                         {"heads", config.num_attention_heads},
                         {"kv_heads", config.num_key_value_heads},
                         {"head_dim", config.head_dim}};
  }
  json["vocab_size"] = config.vocab_size;
  json["context"] = config.max_position_embeddings;
  json[std::string(kCacheKey) + cache_dtype] = {
      {"own", cache.own},
      {"own_with_mtp", cache.own + cache.own_mtp},
      {"multi_head_attention_of_same_shape", cache.multi_head}};
  return json;
}

void PrintConfig(const ordered_json& json) {
  const auto number = [&](const char* group, const char* key) {
    return json.at(group).at(key).get<int64_t>();
  };
  const auto count = [&](const char* group, const char* key) {
    return FormatCount(static_cast<double>(number(group, key)));
  };
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<12} {}\n", name, value);
  };
  line("family", json.at("family").get<std::string>());
  line("parameters",
       fmt::format("{} total ({}), {} active a token without the embedding, {} more in MTP modules",
                   count("parameters", "total"), number("parameters", "total"),
                   count("parameters", "active"), count("parameters", "mtp")));
  line("layers", fmt::format("{} ({} dense), {} MTP modules", number("layers", "total"),
                             number("layers", "dense"), number("layers", "mtp")));
  if (number("experts", "routed") > 0) {
    line("experts", fmt::format("{} routed, {} a token, {} shared", number("experts", "routed"),
                                number("experts", "per_token"), number("experts", "shared")));
  }
  if (json.at("attention").contains("kv_heads")) {
    line("attention",
         fmt::format("{} heads of {}, {} for keys and values", number("attention", "heads"),
                     number("attention", "head_dim"), number("attention", "kv_heads")));
  } else {
    line("attention",
         fmt::format("{} heads, latent {} + {} rotary, queries {}", number("attention", "heads"),
                     number("attention", "kv_lora_rank"), number("attention", "qk_rope_head_dim"),
                     number("attention", "q_lora_rank") > 0
                         ? fmt::format("through {}", number("attention", "q_lora_rank"))
                         : std::string("direct")));
  }
  line("sizes",
       fmt::format("hidden {}, vocabulary {}, context {}", json.at("hidden_size").get<int64_t>(),
                   json.at("vocab_size").get<int64_t>(), json.at("context").get<int64_t>()));
  const bool fp8 = json.contains(std::string(kCacheKey) + "fp8");
  const std::string key = std::string(kCacheKey) + (fp8 ? "fp8" : "bf16");
  const int64_t own = number(key.c_str(), "own");
  const int64_t multi_head = number(key.c_str(), "multi_head_attention_of_same_shape");
  std::string cache =
      fmt::format("{} bytes a token in {}; multi-head attention of this shape {}{} ({:.1f} % less)",
                  own, fp8 ? "FP8 with scales" : "bf16", multi_head, fp8 ? " in bf16" : "",
                  100 * (1 - static_cast<double>(own) / static_cast<double>(multi_head)));
  if (number("layers", "mtp") > 0) {
    cache += fmt::format("; {} with MTP", number(key.c_str(), "own_with_mtp"));
  }
  line("KV cache", cache);
  WriteStandardOutput(text);
}

// Adds the tensors of one file to the sums.
void CountTypes(const SafetensorsFile& file, std::map<std::string, uint64_t>& bytes_of) {
  for (const auto& [name, entry] : file.entries()) bytes_of[entry.type] += entry.end - entry.begin;
}

std::string TypeList(const std::map<std::string, uint64_t>& bytes_of) {
  std::vector<std::string> parts;
  parts.reserve(bytes_of.size());
  for (const auto& [type, bytes] : bytes_of) {
    parts.push_back(fmt::format("{} {}", FormatBytes(static_cast<double>(bytes)), type));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// A name out of a file, without what a terminal would obey.
std::string Printable(std::string name) {
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return name;
}

// The part of a model that a tensor belongs to, in the order in which parts are shown.
constexpr const char* kParts[] = {"embedding and head", "attention", "dense MLPs", "experts",
                                  "shared experts",     "routers",   "norms",      "MTP modules"};
const char* PartOf(const std::string& name, const ModelConfig& config) {
  constexpr std::string_view kLayer = "model.layers.";
  if (name.starts_with(kLayer)) {
    int64_t layer = 0;
    std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), layer);
    if (layer >= config.num_hidden_layers) return "MTP modules";
  }
  if (name.ends_with("norm.weight")) return "norms";
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (has(".mlp.experts.")) return "experts";
  if (has(".mlp.shared_experts.")) return "shared experts";
  if (has(".mlp.gate.")) return "routers";
  if (has(".mlp.")) return "dense MLPs";
  if (has(".self_attn.")) return "attention";
  return "embedding and head";
}

void InspectTensors(const fs::path& path, bool as_json) {
  const SafetensorsFile file(path);
  std::map<std::string, uint64_t> bytes_of;
  CountTypes(file, bytes_of);
  if (as_json) {
    ordered_json json;
    json["file"] = path.string();
    json["metadata"] = file.metadata();
    json["bytes_by_type"] = bytes_of;
    json["tensors"] = ordered_json::array();
    for (const auto& [name, entry] : file.entries()) {
      json["tensors"].push_back({{"name", name},
                                 {"type", entry.type},
                                 {"shape", entry.shape},
                                 {"bytes", entry.end - entry.begin}});
    }
    WriteJson(json);
    return;
  }
  std::string text;
  for (const auto& [name, entry] : file.entries()) {
    text += fmt::format("{:<8} {:<20} {}\n", entry.type,
                        fmt::format("[{}]", fmt::join(entry.shape, ", ")), Printable(name));
  }
  text += fmt::format("{} tensors, {}\n", file.entries().size(), TypeList(bytes_of));
  WriteStandardOutput(text);
}

void InspectDirectory(const fs::path& directory, const std::string& cache_dtype, bool as_json) {
  MappedModel model(directory);
  ordered_json json;
  json["directory"] = directory.string();
  json.update(DescribeConfig(model.config(), cache_dtype));
  std::map<std::string, uint64_t> bytes_of;
  std::map<std::string, std::map<std::string, uint64_t>> part_bytes_of;
  uint64_t bytes = 0;
  const ModelSource& source = model.source();
  const std::vector<std::string> names = source.names();
  for (const std::string& name : names) {
    const StoredTensor& tensor = *source.Find(name);
    bytes += tensor.bytes();
    bytes_of[tensor.type()] += tensor.bytes();
    part_bytes_of[PartOf(name, model.config())][tensor.type()] += tensor.bytes();
  }
  json["weights"] = {{"tensors", names.size()},
                     {"bytes", bytes},
                     {"bytes_by_type", bytes_of},
                     {"bytes_by_part_and_type", part_bytes_of}};
  if (const auto tokenizer = source.LoadTokenizer())
    json["tokenizer"] = {{"ids", tokenizer->vocab_size()}};
  if (as_json) {
    WriteJson(json);
    return;
  }
  PrintConfig(json);
  std::string text =
      fmt::format("{:<12} {} tensors, {}\n", "weights", names.size(), TypeList(bytes_of));
  for (const char* part : kParts) {
    const auto found = part_bytes_of.find(part);
    if (found != part_bytes_of.end())
      text += fmt::format("{:<12} {}: {}\n", "", part, TypeList(found->second));
  }
  text += fmt::format("{:<12} {}\n", "tokenizer",
                      json.contains("tokenizer")
                          ? fmt::format("{} ids", json["tokenizer"]["ids"].get<int64_t>())
                          : std::string("none"));
  WriteStandardOutput(text);
}

void Compare(const std::string& what, const std::string& other, double bits, bool as_json) {
  const ordered_json comparison = CompareCaches(what, ConfigOf(what), bits, other, ConfigOf(other));
  if (as_json) {
    WriteJson(comparison);
  } else {
    WriteStandardOutput(CacheComparisonText(comparison));
  }
}

void Inspect(const std::string& what, const std::string& cache_dtype, bool as_json) {
  const fs::path path = what;
  if (fs::is_directory(path) || IsGguf(path)) {
    InspectDirectory(path, cache_dtype, as_json);
    return;
  }
  if (fs::exists(path) && path.extension() != ".json") {
    InspectTensors(path, as_json);
    return;
  }
  const ordered_json json = DescribeConfig(ConfigOf(what), cache_dtype);
  if (as_json) {
    WriteJson(json);
  } else {
    PrintConfig(json);
  }
}

}  // namespace

void AddInspectCommand(Command app) {
  struct InspectArguments {
    CommonOptions common;
    std::string what, against, cache_dtype = "bf16";
    double cache_bits = 16;
  };
  Command command = app.AddCommand(
      "inspect", "Show parameters, bytes and the cache of a model, or the tensors of a file.");
  command.Footer(
      "Example: fathom inspect my-model --json; fathom inspect v3\n"
      "         fathom inspect v2 --against deepseek-67b --cache-bits 6");
  const auto arguments = std::make_shared<InspectArguments>();
  command
      .AddOption("MODEL", arguments->what,
                 "A model directory, a .gguf file, a config.json, a .safetensors file, or the "
                 "name of a preset or a published model")
      .Required();
  command
      .AddOption("--cache-dtype", arguments->cache_dtype,
                 "Count the cache in bf16, or with the latents of DeepSeek models in FP8")
      .OneOf({"bf16", "fp8"})
      .ShowDefault();
  Option against =
      command.AddOption("--against", arguments->against,
                        "Another model: shows how much less cache a token takes than there, with "
                        "the arithmetic, and nothing else");
  command
      .AddOption("--cache-bits", arguments->cache_bits,
                 "Bits of an element of MODEL's cache in that comparison; the other's has 16")
      .InRange(1.0, 64.0)
      .Needs(against);
  arguments->common.AddTo(command);
  command.OnRun([arguments] {
    if (arguments->against.empty()) {
      Inspect(arguments->what, arguments->cache_dtype, arguments->common.json);
    } else {
      Compare(arguments->what, arguments->against, arguments->cache_bits, arguments->common.json);
    }
  });
}

}  // namespace fathom
