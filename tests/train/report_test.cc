#include "train/report.h"

#include <gtest/gtest.h>

#include "base/file.h"

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
