#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "model/config.h"

namespace fathom {

// The caches of two models beside each other, with the arithmetic: keys and values of grouped-query
// attention are 2 n_g d_h l elements a token, latent attention keeps (d_latent + d_rope) l
// (DeepSeek-V2 report, Table 1). That report's 93.3 % is V2 at 6 bits an element (its section
// 3.2.3) against DeepSeek 67B in bf16. `bits`: of an element of the first model's cache; the
// other's has 16.
nlohmann::ordered_json CompareCaches(const std::string& name, const ModelConfig& config,
                                     double bits, const std::string& other_name,
                                     const ModelConfig& other);
// What CompareCaches made, as lines of text.
std::string CacheComparisonText(const nlohmann::ordered_json& comparison);

}  // namespace fathom
