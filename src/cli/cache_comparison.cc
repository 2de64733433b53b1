#include "cli/cache_comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/architecture.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

ordered_json Describe(const std::string& name, const ModelConfig& config, double bits) {
  const std::string row =
      config.latent_attention()
          ? fmt::format("({} + {})", config.kv_lora_rank, config.qk_rope_head_dim)
          : fmt::format("2 x {} x {}", config.num_key_value_heads, config.head_dim);
  return {{"model", name},
          {"elements_a_layer", row},
          {"layers", config.num_hidden_layers},
          {"elements", config.num_hidden_layers * config.cache_row_dim()},
          {"bits", bits},
          {"bytes", CacheBytes(config, bits).value()}};
}

double PercentLess(const ordered_json& model, const ordered_json& other, const char* what) {
  return 100 * (1 - model.at(what).get<double>() / other.at(what).get<double>());
}

}  // namespace

ordered_json CompareCaches(const std::string& name, const ModelConfig& config, double bits,
                           const std::string& other_name, const ModelConfig& other) {
  const ordered_json model = Describe(name, config, bits),
                     against = Describe(other_name, other, 16);
  return {{"model", model},
          {"against", against},
          {"percent_less", PercentLess(model, against, "bytes")},
          {"percent_less_elements", PercentLess(model, against, "elements")}};
}

std::string CacheComparisonText(const ordered_json& comparison) {
  std::string text = "cache of one token\n";
  const ordered_json &model = comparison.at("model"), &against = comparison.at("against");
  const auto name = [](const ordered_json& line) { return line.at("model").get<std::string>(); };
  const size_t width = std::max(name(model).size(), name(against).size());
  for (const ordered_json& line : {against, model}) {
    text += fmt::format("  {:<{}}  {} x {} layers = {} elements x {} bits = {} bytes\n", name(line),
                        width, line.at("elements_a_layer").get<std::string>(),
                        line.at("layers").get<int64_t>(), line.at("elements").get<int64_t>(),
                        line.at("bits").get<double>(), line.at("bytes").get<double>());
  }
  text += fmt::format("  1 - {} / {} = {:.2f} % less ({:.2f} % in elements)\n",
                      model.at("bytes").get<double>(), against.at("bytes").get<double>(),
                      comparison.at("percent_less").get<double>(),
                      comparison.at("percent_less_elements").get<double>());
  return text;
}

}  // namespace fathom
