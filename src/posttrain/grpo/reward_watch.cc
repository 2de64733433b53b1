#include "posttrain/grpo/reward_watch.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "base/log.h"

namespace fathom {

RewardWatch::RewardWatch(const GrpoConfig& config)
    : config_(config), watch_(config.reward.hacking_window) {
  const std::string text = ReadFile(config.output / "log.jsonl");
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                            text.begin() + static_cast<std::ptrdiff_t>(end),
                                            nullptr, /*allow_exceptions=*/false);
    begin = end + 1;
    if (!line.is_object() || !line.contains("proxy") || !line.contains("gold")) continue;
    watch_.Add(line.value("step", int64_t{0}), line.value("proxy", 0.0), line.value("gold", 0.0));
  }
}

void RewardWatch::Add(int64_t step, double proxy, double gold, RunLog& log) {
  const auto finding = watch_.Add(step, proxy, gold);
  if (!finding) return;
  const std::string text = fmt::format(
      "steps {} to {}: the reward without {} rose from {:.3f} to {:.3f} while {} fell from {:.3f} "
      "to {:.3f}: the policy may be exploiting its reward model",
      finding->first_step, finding->last_step, config_.reward.gold, finding->proxy_before,
      finding->proxy_after, config_.reward.gold, finding->gold_before, finding->gold_after);
  log.WriteNow({{"kind", "warning"}, {"step", step}, {"text", text}});
  spdlog::warn("{}", text);
}

}  // namespace fathom
