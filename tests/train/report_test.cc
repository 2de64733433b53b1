#include "train/report.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "train/report_panel.h"

namespace fathom::test {
namespace {

TEST(Report, ShowsTheRunAndEscapesWhatModelsWrite) {
  const std::filesystem::path output = testing::TempDir() + "/fathom-report";
  std::filesystem::create_directories(output);
  WriteFileAtomically(output / "config.toml", "output = '<here>'\n");
  WriteFileAtomically(output / "log.jsonl",
                      "{\"kind\":\"start\",\"step\":0,\"expert_layers\":[1,2]}\n"
                      "{\"kind\":\"step\",\"step\":1,\"tokens\":512,\"loss\":6.5,"
                      "\"expert_load\":[[0.5,1.5],[0,2]]}\n"
                      "{\"kind\":\"sample\",\"step\":1,\"text\":\"</pre><script>x</script>\"}\n"
                      "{\"kind\":\"validation\",\"step\":1,\"bits_per_byte\":2.5}\n"
                      "{\"kind\":\"step\",\"step\":2,\"tokens\":1024,\"loss\":5.5}\n"
                      "{\"kind\":\"result\",\"step\":2,\"bits_per_byte\":1.25,"
                      "\"baseline_bits_per_byte\":1.75,\"seconds\":61}\n"
                      "{\"kind\":\"step\",\"st");  // a line that a kill cut off
  WriteReport(output);
  const std::string html = ReadFile(output / "report.html");
  EXPECT_EQ(html.find("<script>"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
  EXPECT_NE(html.find("<pre class='sample'>"), std::string::npos);
  EXPECT_NE(html.find("1.2500"), std::string::npos);
  EXPECT_NE(html.find("1.7500"), std::string::npos);
  EXPECT_NE(html.find("1 min 1 s"), std::string::npos);
  EXPECT_NE(html.find("Experts at step 1"), std::string::npos);
  EXPECT_NE(html.find("layer 2 expert 1: 2<"), std::string::npos);
  EXPECT_NE(html.find("&lt;here&gt;"), std::string::npos);
  EXPECT_NE(ReadFile(output / "loss.svg").find("order-4 byte model 1.750"), std::string::npos);
  std::filesystem::remove_all(output);
}

// A curve is followed closely where there are few points, and its noise is taken away where there
// are many.
TEST(Report, CurvesAreSmoothedByHowManyPointsThereAre) {
  const auto step_at = [](int count, int at) {
    std::vector<Point> points;
    for (int i = 0; i < count; ++i) points.push_back({static_cast<double>(i), i < at ? 0.0 : 1.0});
    return Smooth(points);
  };
  EXPECT_EQ(step_at(8, 4)[4].y, 1);
  EXPECT_GT(step_at(30, 10)[20].y, 0.97);
  EXPECT_NEAR(step_at(1000, 500)[509].y, 1 - std::pow(0.9, 10), 1e-12);
  // The first ones are as good as each other.
  EXPECT_NEAR(Smooth({{0, 3},
                      {1, 1},
                      {2, 2},
                      {3, 0},
                      {4, 0},
                      {5, 0},
                      {6, 0},
                      {7, 0},
                      {8, 0},
                      {9, 0},
                      {10, 0},
                      {11, 0}})[1]
                  .y,
              3 + (1 - 3) * 10 / 12.0, 1e-12);
  EXPECT_TRUE(Smooth({}).empty());
}

// A run that was interrupted before its first step.
TEST(Report, OfAnEmptyLogIsAPageWithoutCurves) {
  const std::filesystem::path output = testing::TempDir() + "/fathom-empty-report";
  std::filesystem::create_directories(output);
  WriteFileAtomically(output / "config.toml", "");
  WriteFileAtomically(output / "log.jsonl", "");
  WriteReport(output);
  EXPECT_NE(ReadFile(output / "report.html").find("</html>"), std::string::npos);
  std::filesystem::remove_all(output);
}

}  // namespace
}  // namespace fathom::test
