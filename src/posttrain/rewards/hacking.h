#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace fathom {

// Watches what is optimised (the proxy) and what is wanted (the gold score) over the steps of a
// run: a reward model that is optimised too far keeps rising while the gold score falls (Gao et
// al., arXiv 2210.10760). The last `window` steps are halved; the proxy has risen, and the gold
// score fallen, where the halves' means differ by more than three standard errors (Welch's t).
class RewardHackingWatch {
 public:
  // window: an even number of steps, 4 at least.
  explicit RewardHackingWatch(int64_t window);

  struct Finding {
    int64_t first_step = 0, last_step = 0;  // of the window
    // Means of its halves.
    double proxy_before = 0, proxy_after = 0, gold_before = 0, gold_after = 0;
  };
  // Means of a step's completions. The same rise is found once: after a finding, the next window
  // begins anew. What is not finite is passed over.
  std::optional<Finding> Add(int64_t step, double proxy, double gold);

 private:
  struct Step {
    int64_t step;
    double proxy, gold;
  };
  int64_t window_;
  std::deque<Step> steps_;
};

}  // namespace fathom
