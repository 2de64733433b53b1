// Every released checkpoint that Fathom says it opens, by its headers.

#include "formats/published_checkpoints.h"

#include <gtest/gtest.h>

#include <functional>
#include <unordered_set>

#include "base/temporary_directory.h"
#include "formats/mapped_model.h"

namespace fathom::test {
namespace {

struct Case {
  std::string name;
  std::function<PublishedCheckpoint()> make;
  int64_t parameters;  // as its page says, scales not counted
};

Case Qwen2Case(const std::string& name, const GroupedSizes& sizes, int shards,
               const std::string& rope_theta, int64_t parameters) {
  return {name, [=] { return Qwen2(name, sizes, shards, rope_theta); }, parameters};
}
Case Llama3Case(const std::string& name, const GroupedSizes& sizes, int shards,
                const std::string& rope_factor, int64_t parameters) {
  return {name, [=] { return Llama3(name, sizes, shards, rope_factor); }, parameters};
}

std::vector<Case> Cases() {
  // hidden, MLP, layers, heads, kv heads, head, vocabulary, bias, tied
  constexpr GroupedSizes kQwen0B = {896, 4864, 24, 14, 2, 64, 151936, true, true};
  constexpr GroupedSizes kQwen1B = {1536, 8960, 28, 12, 2, 128, 151936, true, true};
  constexpr GroupedSizes kQwen1BUntied = {1536, 8960, 28, 12, 2, 128, 151936, true, false};
  constexpr GroupedSizes kQwen7B = {3584, 18944, 28, 28, 4, 128, 152064, true, false};
  constexpr GroupedSizes kQwen14B = {5120, 13824, 48, 40, 8, 128, 152064, true, false};
  constexpr GroupedSizes kQwen32B = {5120, 27648, 64, 40, 8, 128, 152064, true, false};
  constexpr GroupedSizes kQwen72B = {8192, 29568, 80, 64, 8, 128, 152064, true, false};
  constexpr GroupedSizes kLlama1B = {2048, 8192, 16, 32, 8, 64, 128256, false, true};
  constexpr GroupedSizes kLlama8B = {4096, 14336, 32, 32, 8, 128, 128256, false, false};
  constexpr GroupedSizes kLlama70B = {8192, 28672, 80, 64, 8, 128, 128256, false, false};
  return {
      // 671.03 B and the MTP layer with its copies of embedding and head.
      {"DeepSeek-V3", DeepSeekV3, 684'489'845'504},
      {"DeepSeek-V2-Lite", DeepSeekV2Lite, 15'706'484'224},
      {"DeepSeek-V2", DeepSeekV2, 235'741'434'880},
      Qwen2Case("DeepSeek-R1-Distill-Qwen-1.5B", kQwen1BUntied, 1, "10000", 1'777'088'000),
      Qwen2Case("DeepSeek-R1-Distill-Qwen-7B", kQwen7B, 2, "10000", 7'615'616'512),
      Qwen2Case("DeepSeek-R1-Distill-Qwen-14B", kQwen14B, 4, "1000000.0", 14'770'033'664),
      Qwen2Case("DeepSeek-R1-Distill-Qwen-32B", kQwen32B, 8, "1000000.0", 32'763'876'352),
      Llama3Case("DeepSeek-R1-Distill-Llama-8B", kLlama8B, 2, "8.0", 8'030'261'248),
      Llama3Case("DeepSeek-R1-Distill-Llama-70B", kLlama70B, 17, "8.0", 70'553'706'496),
      Qwen2Case("Qwen2.5-0.5B", kQwen0B, 1, "1000000.0", 494'032'768),
      Qwen2Case("Qwen2.5-1.5B", kQwen1B, 1, "1000000.0", 1'543'714'304),
      Qwen2Case("Qwen2.5-72B", kQwen72B, 37, "1000000.0", 72'706'203'648),
      Llama3Case("Llama-3.2-1B", kLlama1B, 1, "32.0", 1'235'814'400),
      Llama3Case("Llama-3.1-8B", kLlama8B, 4, "8.0", 8'030'261'248),
  };
}

class PublishedCheckpoints : public testing::TestWithParam<Case> {};

TEST_P(PublishedCheckpoints, IsAcceptedAndMapped) {
  const PublishedCheckpoint checkpoint = GetParam().make();
  TemporaryDirectory directory;
  WriteHeaders(checkpoint, directory.path());
  MappedModel model(directory.path());

  // Each tensor is a parameter of the model, a scale of one, or a copy that MTP layers have.
  int64_t parameters = 0;
  std::unordered_set<std::string> copies;
  for (const PublishedTensor& tensor : checkpoint.tensors) {
    if (tensor.name.ends_with("_scale_inv")) {
      EXPECT_EQ(model.source().Find(tensor.name), nullptr);
      continue;
    }
    int64_t size = 1;
    for (const int64_t dim : tensor.shape) size *= dim;
    parameters += size;
    const StoredTensor* stored = model.source().Find(tensor.name);
    ASSERT_NE(stored, nullptr) << tensor.name;
    EXPECT_EQ(stored->type(), tensor.type);
    const Parameter* parameter = model.store().Find(tensor.name);
    if (parameter == nullptr) {
      copies.insert(tensor.name);
    } else {
      EXPECT_EQ(parameter->stored, stored);
      EXPECT_EQ(parameter->value.empty(), tensor.type == "F8_E4M3") << tensor.name;
    }
  }
  EXPECT_EQ(parameters, GetParam().parameters);
  if (checkpoint.name == "DeepSeek-V3") {
    EXPECT_EQ(checkpoint.tensors.size(), 91'991U);
    EXPECT_EQ(copies, (std::unordered_set<std::string>{"model.layers.61.embed_tokens.weight",
                                                       "model.layers.61.shared_head.head.weight"}));
    EXPECT_NEAR(static_cast<double>(model.source().bytes()), 688.57e9, 0.02e9);
    EXPECT_EQ(model.config().num_nextn_predict_layers, 1);
  } else {
    EXPECT_TRUE(copies.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(All, PublishedCheckpoints, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<Case>& published) {
                           std::string name = published.param.name;
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace fathom::test
