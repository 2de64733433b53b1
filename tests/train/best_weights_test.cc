// checkpoint.best: a run ends with the weights that were best at a validation.

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "train/trainer_fixture.h"

namespace fathom::test {
namespace {

class BestWeightsTest : public TrainerTest {
 protected:
  // At this rate the loss goes up and down.
  const Settings settings_ = {"steps=16",           "optimizer.lr=1",     "schedule.type=constant",
                              "validation.every=2", "checkpoint.every=4", "checkpoint.best=true"};
};

TEST_F(BestWeightsTest, AreThoseOfTheLowestValidation) {
  const RunConfig config = Config(settings_);
  const PretrainingSummary summary = RunPretraining(config);
  const auto validations = Log(config, "validation");
  ASSERT_EQ(validations.size(), 9);  // with the beginning and the end
  const auto best =
      std::min_element(validations.begin(), validations.end(), [](const auto& a, const auto& b) {
        return a.at("bits_per_byte").template get<double>() <
               b.at("bits_per_byte").template get<double>();
      });
  EXPECT_EQ(summary.best_step, best->at("step"));
  EXPECT_EQ(summary.best_score, best->at("bits_per_byte"));
  EXPECT_EQ(validations[0].at("step"), 0);
  EXPECT_EQ(summary.start_score, validations[0].at("bits_per_byte"));
  ASSERT_LT(summary.best_step, 16) << "the last one is the best: nothing is shown";
  const auto result = Log(config, "result");
  ASSERT_EQ(result.size(), 1);
  EXPECT_EQ(result[0].at("best_step"), summary.best_step);
  // All that is held out fits into a validation here, so that both say the same.
  EXPECT_EQ(result[0].at("bits_per_byte"), best->at("bits_per_byte"));
  // The last checkpoint has the last weights.
  EXPECT_NE(ReadFile(config.output / "model/model.safetensors"),
            ReadFile(LastCheckpoint(config) / "model.safetensors"));
}

TEST_F(BestWeightsTest, AreTheSameInARunThatWasResumed) {
  Settings settings = settings_;
  settings.push_back("output=whole");
  const RunConfig whole = Config(settings);
  const int64_t best = RunPretraining(whole).best_step;
  for (const int64_t stop : {best - 1, best, best + 1}) {
    SCOPED_TRACE(stop);
    if (stop < 1) continue;
    settings.back() = fmt::format("output=stopped-{}", stop);
    const RunConfig parts = Config(settings);
    RunConfig first = parts;
    TrainOptions options;
    Interrupt(first, stop, options);
    RunPretraining(first, options);
    EXPECT_EQ(Resume(parts).best_step, best);
    ExpectSameEnd(parts, whole);
  }
}

}  // namespace
}  // namespace fathom::test
