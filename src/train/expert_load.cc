#include "train/expert_load.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fathom {
namespace {

double Mean(const std::vector<int64_t>& load) {
  return std::accumulate(load.begin(), load.end(), 0.0) / static_cast<double>(load.size());
}

bool IsDue(int64_t step, int64_t steps, int64_t entries) {
  if (entries == 0) return false;
  const int64_t every = std::max<int64_t>(1, (steps + entries - 1) / entries);
  return step == 1 || step % every == 0;
}

}  // namespace

void CountExperts(const SavedActivations& saved, ExpertLoad& load) {
  for (size_t layer = 0; layer < saved.layers.size(); ++layer) {
    const std::vector<int64_t>& offsets = saved.layers[layer].moe.rows.offsets;
    if (!offsets.empty()) load.Add(static_cast<int64_t>(layer), offsets);
  }
}

void AddLoad(const ExpertLoad& more, ExpertLoad& load) {
  if (load.tokens.size() < more.tokens.size()) load.tokens.resize(more.tokens.size());
  for (size_t layer = 0; layer < more.tokens.size(); ++layer) {
    const std::vector<int64_t>& from = more.tokens[layer];
    std::vector<int64_t>& to = load.tokens[layer];
    to.resize(std::max(to.size(), from.size()));
    for (size_t e = 0; e < from.size(); ++e) to[e] += from[e];
  }
}

double MaxViolation(const std::vector<int64_t>& load) {
  const double mean = Mean(load);
  return mean > 0 ? static_cast<double>(*std::max_element(load.begin(), load.end())) / mean - 1 : 0;
}

void LogExpertLoad(const ExpertLoad& load, int64_t step, int64_t steps, int64_t entries,
                   nlohmann::ordered_json& line) {
  double worst = -1;
  for (const std::vector<int64_t>& layer : load.tokens) {
    if (!layer.empty()) worst = std::max(worst, MaxViolation(layer));
  }
  if (worst < 0) return;  // no layer has experts
  line["max_violation"] = std::round(worst * 1e4) / 1e4;
  if (!IsDue(step, steps, entries)) return;
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::vector<int64_t>& layer : load.tokens) {
    if (layer.empty()) continue;
    const double mean = Mean(layer);
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (const int64_t tokens : layer) {
      const double share = mean > 0 ? static_cast<double>(tokens) / mean : 0;
      row.push_back(std::round(share * 100) / 100);
    }
    rows.push_back(std::move(row));
  }
  line["expert_load"] = std::move(rows);
}

void DescribeExpertLayers(const ModelConfig& model, nlohmann::ordered_json& line) {
  if (model.n_routed_experts == 0) return;
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < model.num_hidden_layers + model.num_nextn_predict_layers; ++i) {
    if (model.IsMoeLayer(i)) layers.push_back(i);
  }
  line["layers"] = model.num_hidden_layers;
  line["expert_layers"] = std::move(layers);
}

}  // namespace fathom
