// The model against the original (Hugging Face transformers and PyTorch): tests/golden/model, see
// scripts/parity/README.md.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/mapped_model.h"
#include "formats/safetensors.h"
#include "model/language_model_loss.h"
#include "model/rope.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

using nlohmann::ordered_json;

struct Arithmetic {
  std::string name;
  std::unique_ptr<Backend> (*create)();
  Precision precision;
};

std::unique_ptr<Backend> CreateCpu() { return CreateCpuBackend(); }

std::vector<Arithmetic> Arithmetics() {
  return {{"reference_f64", CreateReferenceBackend, Precision::Double()},
          {"reference_f32", CreateReferenceBackend, Precision::F32()},
          {"cpu_f32", CreateCpu, Precision::F32()}};
}

std::filesystem::path GoldenDirectory(const std::string& name) {
  return std::filesystem::path(FATHOM_GOLDEN_DIR) / "model" / name;
}

// A golden model with the values that the original gave for it.
class Golden {
 public:
  Golden(const std::string& name, const Arithmetic& arithmetic, AttentionForm form)
      : run(arithmetic.create(), 2),
        directory(GoldenDirectory(name)),
        config(ReadModelConfig(directory)),
        store(config, arithmetic.precision.sum, run.backend().allocator()),
        model(config, arithmetic.precision, store, run.backend().allocator()),
        expected(directory / "expected.safetensors") {
    LoadMasters(directory, config, store);
    for (const auto& parameter : store.all()) {
      if (!parameter->grad.empty()) run->Zero(run.context(), parameter->grad);
    }
    model.Pack(run.context(), form, /*training=*/true);
  }

  std::vector<int32_t> Ids(int sequence) const {
    const auto ids = expected.Get(fmt::format("seq{}.input_ids", sequence)).span<int32_t>();
    return {ids.begin(), ids.end()};
  }

  // Both sequences in one batch.
  LossInput Input() const {
    LossInput input;
    const auto depths = static_cast<size_t>(config.num_nextn_predict_layers + 1);
    input.inputs.resize(depths);
    input.targets.resize(depths);
    for (int s = 0; s < 2; ++s) {
      const std::vector<int32_t> ids = Ids(s);
      input.sequences.push_back({.begin = static_cast<int64_t>(input.inputs[0].size()),
                                 .count = static_cast<int64_t>(ids.size())});
      for (size_t k = 0; k < depths; ++k) {
        for (size_t i = 0; i < ids.size(); ++i) {
          input.inputs[k].push_back(i + k < ids.size() ? ids[i + k] : 0);
          input.targets[k].push_back(i + k + 1 < ids.size() ? ids[i + k + 1] : -1);
        }
      }
    }
    return input;
  }

  TestRun run;
  std::filesystem::path directory;
  ModelConfig config;
  ParameterStore store;
  Transformer model;
  SafetensorsFile expected;
};

struct Case {
  std::string model;
  Arithmetic arithmetic;
  AttentionForm form;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* model : {"deepseek_v3", "deepseek_v3_no_q_lora", "deepseek_v3_mtp",
                            "deepseek_v2_lite", "deepseek_v2", "qwen2", "qwen2_tied", "llama"}) {
    for (const Arithmetic& arithmetic : Arithmetics()) {
      for (const AttentionForm form : {AttentionForm::kAbsorbed, AttentionForm::kExpanded}) {
        cases.push_back({model, arithmetic, form});
      }
    }
  }
  return cases;
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return fmt::format("{}_{}_{}", info.param.model, info.param.arithmetic.name,
                     info.param.form == AttentionForm::kAbsorbed ? "absorbed" : "expanded");
}

class GoldenModel : public testing::TestWithParam<Case> {};

// Largest difference between logits made here and the original's.
double LargestDifference(ConstTensor actual, ConstTensor expected) {
  const std::vector<double> a = LoadAll(actual), e = LoadAll(expected);
  EXPECT_EQ(a.size(), e.size());
  double largest = 0;
  for (size_t i = 0; i < e.size(); ++i) largest = std::max(largest, std::abs(a.at(i) - e[i]));
  return largest;
}

TEST_P(GoldenModel, LogitsAreTheOriginals) {
  Golden golden(GetParam().model, GetParam().arithmetic, GetParam().form);
  Context& context = golden.run.context();
  const Precision precision = golden.model.precision();
  const auto logits_of = [&](ConstTensor h) {
    const Tensor logits =
        context.workspace->New(precision.sum, Shape({h.dim(0), golden.config.vocab_size}));
    golden.model.head().Logits(context, h, logits);
    return logits;
  };
  for (int s = 0; s < 2; ++s) {
    ArenaScope scope(*context.workspace);
    const std::vector<int32_t> ids = golden.Ids(s);
    const auto tokens = static_cast<int64_t>(ids.size());
    const Batch batch =
        MakeBatch(context, *context.workspace, ids, {{.begin = 0, .count = tokens}});
    const Pass pass =
        golden.model.MakePass(context, batch, nullptr, GetParam().form, *context.workspace);
    const Tensor x = golden.model.Forward(context, pass, nullptr);
    const Tensor h = context.workspace->New(precision.act, x.shape());
    golden.model.FinalNorm(context, x, h, {});
    EXPECT_LT(LargestDifference(logits_of(h), golden.expected.Get(fmt::format("seq{}.logits", s))),
              1e-4);
    if (golden.config.num_nextn_predict_layers == 0) continue;

    std::vector<int32_t> next(ids.begin() + 1, ids.end());
    next.push_back(0);  // the last row has no next token; its result is not compared
    const Tensor next_ids = context.workspace->New(DType::kI32, Shape({tokens}));
    golden.run->CopyFromHost(ConstTensor(next.data(), DType::kI32, Shape({tokens})), next_ids);
    const MtpModule& mtp = *golden.model.mtp()[0];
    const Tensor x_mtp =
        mtp.Forward(context, pass, h, next_ids, *context.workspace, nullptr, nullptr);
    golden.run->RmsNorm(context, x_mtp, mtp.output_norm().value, golden.config.rms_norm_eps, h, {});
    EXPECT_LT(LargestDifference(logits_of(h.Rows(0, tokens - 1)),
                                golden.expected.Get(fmt::format("seq{}.mtp_logits", s))),
              1e-4);
  }
}

TEST_P(GoldenModel, LossAndGradientsAreTheOriginals) {
  Golden golden(GetParam().model, GetParam().arithmetic, GetParam().form);
  const LossInput input = golden.Input();
  const bool mtp = golden.config.num_nextn_predict_layers > 0;
  LossOptions options{.form = GetParam().form};
  std::vector<double> counts;
  for (const auto& targets : input.targets) {
    counts.push_back(static_cast<double>(
        std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t >= 0; })));
  }
  options.target_weight = {1 / counts[0]};
  if (mtp) options.target_weight.push_back(0.3 / counts[1]);
  SavedActivations saved(golden.run.backend().allocator());
  const LossOutput output =
      LanguageModelLoss(golden.run.context(), golden.model, input, options, &saved);
  EXPECT_NEAR(output.nll[0] / counts[0], LoadAll(golden.expected.Get("loss"))[0], 1e-5);
  if (mtp) {
    EXPECT_NEAR(output.nll[1] / counts[1], LoadAll(golden.expected.Get("mtp_loss"))[0], 1e-5);
  }
  for (const auto& parameter : golden.store.all()) {
    if (parameter->grad.empty()) continue;
    const ConstTensor expected = golden.expected.Get("grad." + parameter->spec.name);
    EXPECT_LT(RelativeError(parameter->grad, expected), 1e-4) << parameter->spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenModel, testing::ValuesIn(Cases()), CaseName);

std::string GroupedConfig(const JsonValue& row) {
  ModelConfig config;
  config.family = row.At("model_type").String() == "llama" ? Family::kLlama : Family::kQwen2;
  config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = row.At("head_dim").Int();
  return config.ToJson("float32");
}

TEST(Rope, ParametersAreTheOriginals) {
  const std::filesystem::path path = GoldenDirectory("rope.json");
  const std::string text = ReadFile(path);
  const JsonDocument document(text, path.string());
  const ordered_json plain = ordered_json::parse(text);
  size_t index = 0;
  for (const JsonValue& row : document.root().Array()) {
    SCOPED_TRACE(row.At("name").String());
    // Through a config.json, as a model's file would say it.
    const bool latent = row.Find("qk_rope_head_dim").has_value();
    ordered_json json =
        ordered_json::parse(latent ? ModelConfig().ToJson("float32") : GroupedConfig(row));
    if (latent) {
      json["qk_nope_head_dim"] = row.At("qk_nope_head_dim").Int();
      json["qk_rope_head_dim"] = row.At("qk_rope_head_dim").Int();
    }
    json.erase("rope_theta");
    json.erase("rope_scaling");
    json["rope_parameters"] = plain[index++]["rope_parameters"];
    const ModelConfig config = ModelConfig::FromJson(json.dump(), path.string());
    const RopeParameters rope = MakeRopeParameters(config);
    EXPECT_NEAR(rope.table_scale, row.At("cos_sin_multiplier").Number(), 1e-6);
    EXPECT_NEAR(rope.softmax_scale, row.At("softmax_scale").Number(), 1e-7);
    const std::vector<JsonValue> frequencies = row.At("inv_freq").Array();
    ASSERT_EQ(frequencies.size(), rope.inv_freq.size());
    for (size_t j = 0; j < frequencies.size(); ++j) {
      const double expected = frequencies[j].Number();
      EXPECT_NEAR(rope.inv_freq[j], expected, 1e-6 * expected) << j;
    }
  }
}

}  // namespace
}  // namespace fathom::test
