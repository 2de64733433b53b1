#include "infer/draft_policy.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace fathom::test {
namespace {

// A machine on which a step takes 1 without drafts and `cost` with them, noise aside, and guesses
// hold with a probability.
class Machine {
 public:
  Machine(double cost, double acceptance, uint64_t seed)
      : cost_(cost), acceptance_(acceptance), random_(seed) {}

  void Change(double cost, double acceptance) { cost_ = cost, acceptance_ = acceptance; }

  // Writes so many tokens of one sequence; returns the time it took. A step now and then is long.
  double Write(DraftPolicy& policy, double tokens) {
    double time = 0;
    while (tokens > 0) {
      const bool draft = policy.ShouldDraft(1);
      const int64_t written = draft && random_.NextUniform() < acceptance_ ? 2 : 1;
      double seconds = (draft ? cost_ : 1) * (1 + 0.05 * random_.NextNormal());
      if (random_.NextUniform() < 0.02) seconds *= 5;
      policy.Record(1, draft, written, seconds);
      time += draft ? cost_ : 1;
      tokens -= static_cast<double>(written);
      drafted_ += draft;
      ++steps_;
    }
    return time;
  }
  double drafted() const { return static_cast<double>(drafted_) / static_cast<double>(steps_); }

 private:
  double cost_, acceptance_;
  RandomStream random_;
  int64_t drafted_ = 0, steps_ = 0;
};

TEST(DraftPolicy, DraftsWhereItPays) {
  double time = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    DraftPolicy policy;
    Machine machine(1.3, 0.8, seed);  // 1.8 tokens in 1.3
    time += machine.Write(policy, 4000);
    EXPECT_NEAR(policy.Gain(1), 1.8 / 1.3, 0.25) << seed;
  }
  // The best is 1.3 / 1.8 a token; trials cost a few percent of that.
  EXPECT_LT(time / (20 * 4000), 1.3 / 1.8 * 1.04);
}

TEST(DraftPolicy, LosesLittleWhereItDoesNot) {
  for (const double acceptance : {0.0, 0.3, 0.45}) {
    double time = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      DraftPolicy policy;
      Machine machine(1.5, acceptance, seed);
      time += machine.Write(policy, 1000);
    }
    EXPECT_LT(time / (20 * 1000), 1.03) << acceptance;
  }
}

TEST(DraftPolicy, AShortAnswerLosesLittleToo) {
  double time = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    DraftPolicy policy;
    Machine machine(1.5, 0.05, seed);
    time += machine.Write(policy, 128);
  }
  EXPECT_LT(time / (100 * 128), 1.03);
}

TEST(DraftPolicy, NoticesWhenThingsChange) {
  DraftPolicy policy;
  Machine machine(1.3, 0.1, 1);
  machine.Write(policy, 3000);
  EXPECT_FALSE(policy.ShouldDraft(1));
  machine.Change(1.3, 0.9);
  machine.Write(policy, 10000);
  EXPECT_GT(policy.Gain(1), 1.2);
  EXPECT_TRUE(policy.ShouldDraft(1));
  machine.Change(1.3, 0.0);
  machine.Write(policy, 10000);
  EXPECT_FALSE(policy.ShouldDraft(1));
}

TEST(DraftPolicy, JudgesEachNumberOfSequencesByItself) {
  DraftPolicy policy;
  for (int i = 0; i < 200; ++i) {
    policy.Record(1, policy.ShouldDraft(1), policy.ShouldDraft(1) ? 2 : 1,
                  policy.ShouldDraft(1) ? 1.2 : 1);
    policy.Record(64, policy.ShouldDraft(64), policy.ShouldDraft(64) ? 128 : 64,
                  policy.ShouldDraft(64) ? 2.5 : 1);
  }
  EXPECT_TRUE(policy.ShouldDraft(1));
  EXPECT_FALSE(policy.ShouldDraft(64));
  EXPECT_FALSE(policy.ShouldDraft(40));  // of the same class
  EXPECT_EQ(policy.Gain(8), 0);          // nothing is known
}

}  // namespace
}  // namespace fathom::test
