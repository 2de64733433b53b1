#include "train/load_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fathom {
namespace {

constexpr double kWidth = 860, kLeft = 70, kRow = 20;

// From white to the end that it tends to: no tokens at all, or four times the mean.
std::string Colour(double share) {
  const double by = share < 1 ? 1 - share : std::min(1.0, std::log2(share) / 2);
  const auto mix = [&](int end) { return std::lround(244 + (end - 244) * by); };
  return share < 1 ? fmt::format("#{:02x}{:02x}{:02x}", mix(0x1b), mix(0x5a), mix(0xa8))
                   : fmt::format("#{:02x}{:02x}{:02x}", mix(0xc4), mix(0x49), mix(0x0a));
}

}  // namespace

std::string LoadPicture(const nlohmann::json& expert_load, const nlohmann::json& expert_layers) {
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' font-family='sans-serif' "
      "font-size='11' fill='#667'>\n",
      kWidth, kRow * static_cast<double>(expert_load.size()));
  for (size_t layer = 0; layer < expert_load.size(); ++layer) {
    const auto experts = static_cast<double>(expert_load[layer].size());
    const double top = kRow * static_cast<double>(layer), width = (kWidth - kLeft) / experts;
    const bool known = layer < expert_layers.size() && expert_layers[layer].is_number_integer();
    const std::string name =
        known ? fmt::format("layer {}", expert_layers[layer].get<int64_t>()) : "";
    svg += fmt::format("<text x='0' y='{}'>{}</text>", top + 14, name);
    for (size_t e = 0; e < expert_load[layer].size(); ++e) {
      const nlohmann::json& value = expert_load[layer][e];
      const double share = value.is_number() ? value.get<double>() : 1;
      svg += fmt::format(
          "<rect x='{:.1f}' y='{}' width='{:.1f}' height='{}' fill='{}'><title>{} expert {}: "
          "{:g}</title></rect>",
          kLeft + width * static_cast<double>(e), top, std::max(width - 1, 0.5 * width), kRow - 1,
          Colour(share), name, e, share);
    }
    svg += "\n";
  }
  return svg + "</svg>\n";
}

}  // namespace fathom
