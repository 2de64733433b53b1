#include "base/error.h"
#include "model/config_fields.h"

namespace fathom::config {
namespace {

YarnScaling ReadYarn(const JsonValue& scaling, bool latent_attention) {
  YarnScaling yarn;
  yarn.factor = Positive(scaling.At("factor"));
  if (const auto beta = scaling.Find("beta_fast")) yarn.beta_fast = Positive(*beta);
  if (const auto beta = scaling.Find("beta_slow")) yarn.beta_slow = Positive(*beta);
  yarn.original_max_position_embeddings = Size(scaling, "original_max_position_embeddings", 1);
  yarn.mscale = scaling.NumberOr("mscale", latent_attention ? 1 : 0);
  yarn.mscale_all_dim = scaling.NumberOr("mscale_all_dim", 0);
  if (const auto factor = scaling.Find("attention_factor"))
    yarn.attention_factor = Positive(*factor);
  RequireBool(scaling, "truncate", true);
  return yarn;
}

Llama3Scaling ReadLlama3(const JsonValue& scaling) {
  Llama3Scaling llama;
  llama.factor = Positive(scaling.At("factor"));
  llama.low_freq_factor = Positive(scaling.At("low_freq_factor"));
  llama.high_freq_factor = Positive(scaling.At("high_freq_factor"));
  llama.original_max_position_embeddings = Size(scaling, "original_max_position_embeddings", 1);
  if (llama.high_freq_factor <= llama.low_freq_factor) {
    throw Error(scaling.path(), fmt::format("high_freq_factor {} is not above low_freq_factor {}",
                                            llama.high_freq_factor, llama.low_freq_factor));
  }
  return llama;
}

nlohmann::ordered_json Scaling(const YarnScaling& yarn) {
  nlohmann::ordered_json json = {
      {"type", "yarn"},
      {"rope_type", "yarn"},
      {"factor", yarn.factor},
      {"beta_fast", yarn.beta_fast},
      {"beta_slow", yarn.beta_slow},
      {"original_max_position_embeddings", yarn.original_max_position_embeddings}};
  if (yarn.mscale != 0) json["mscale"] = yarn.mscale;
  if (yarn.mscale_all_dim != 0) json["mscale_all_dim"] = yarn.mscale_all_dim;
  if (yarn.attention_factor) json["attention_factor"] = *yarn.attention_factor;
  return json;
}

nlohmann::ordered_json Scaling(const Llama3Scaling& llama) {
  return {{"rope_type", "llama3"},
          {"factor", llama.factor},
          {"low_freq_factor", llama.low_freq_factor},
          {"high_freq_factor", llama.high_freq_factor},
          {"original_max_position_embeddings", llama.original_max_position_embeddings}};
}

nlohmann::ordered_json Scaling(std::monostate) { return nullptr; }

}  // namespace

void ReadRope(const JsonValue& root, ModelConfig& config) {
  auto scaling = root.Find("rope_parameters");
  if (!scaling) scaling = root.Find("rope_scaling");
  if (const auto theta = root.Find("rope_theta")) config.rope_theta = Positive(*theta);
  RequireNumber(root, "partial_rotary_factor", 1);
  if (!scaling) return;
  if (const auto theta = scaling->Find("rope_theta")) config.rope_theta = Positive(*theta);
  RequireNumber(*scaling, "partial_rotary_factor", 1);
  auto type = scaling->Find("rope_type");
  if (!type) type = scaling->Find("type");
  if (!type || type->String() == "default") return;
  if (type->String() == "yarn") {
    config.rope_scaling = ReadYarn(*scaling, config.latent_attention());
  } else if (type->String() == "llama3" && !config.latent_attention()) {
    config.rope_scaling = ReadLlama3(*scaling);
  } else {
    throw Error(type->path(),
                fmt::format("rope scaling '{}' is not supported by {}", type->String(),
                            Name(config.family)),
                config.latent_attention() ? "only 'yarn' is" : "only 'yarn' and 'llama3' are");
  }
}

void WriteRope(const ModelConfig& config, nlohmann::ordered_json& json) {
  json["rope_theta"] = config.rope_theta;
  json["rope_scaling"] =
      std::visit([](const auto& scaling) { return Scaling(scaling); }, config.rope_scaling);
}

}  // namespace fathom::config
