#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json.h"
#include "model/config.h"

// What the readers and writers of the families' config.json share; for config*.cc only.

namespace fathom::config {

// An integer in [smallest, 2^24]. What is computed from several is bounded by
// ModelConfig::Validate.
int64_t Size(const JsonValue& root, std::string_view key, int64_t smallest);
double Positive(const JsonValue& value);

// Fields that change the mathematics and of which only one value is supported; may be missing.
void RequireString(const JsonValue& root, std::string_view key, std::string_view supported);
void RequireBool(const JsonValue& root, std::string_view key, bool supported);
void RequireNumber(const JsonValue& root, std::string_view key, double supported);
// A field that may only be missing or null.
void RequireNone(const JsonValue& root, std::string_view key);

// rope_theta and rope_scaling, or rope_parameters as transformers 5 writes them.
void ReadRope(const JsonValue& root, ModelConfig& config);
void WriteRope(const ModelConfig& config, nlohmann::ordered_json& json);

// deepseek_v3 and deepseek_v2.
void ReadDeepseek(const JsonValue& root, ModelConfig& config);
void WriteDeepseek(const ModelConfig& config, nlohmann::ordered_json& json);
// qwen2 and llama.
void ReadGrouped(const JsonValue& root, ModelConfig& config);
void WriteGrouped(const ModelConfig& config, nlohmann::ordered_json& json);

}  // namespace fathom::config
