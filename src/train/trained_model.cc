#include "train/trained_model.h"

#include "base/error.h"
#include "formats/weights_fingerprint.h"

namespace fathom {

TrainedModel::TrainedModel(const TrainingSettings& settings, const ModelConfig& model,
                           std::filesystem::path init_from, Allocator& allocator)
    : settings_(settings), init_from_(std::move(init_from)) {
  const Precision precision = settings.ModelPrecision();
  if (!settings.lora.enabled()) {
    whole_ = std::make_unique<ParameterStore>(model, precision.sum, allocator);
    return;
  }
  const AdapterOptions options = settings.lora.Options();
  const std::vector<std::string> matrices = AdaptedMatrices(model, options);
  frozen_ = std::make_unique<MappedModel>(settings.lora.base, allocator);
  frozen_->DecodeSmallTensors(precision.sum);
  for (const std::string& name : matrices) {
    store().AddAdapter(store().Get(name), options.rank, options.scale(), precision.sum,
                       /*trained=*/true);
  }
}

int64_t TrainedModel::trained_parameters() {
  int64_t count = 0;
  for (const Parameter* parameter : store().masters()) {
    if (!parameter->grad.empty()) count += parameter->grad.elements();
  }
  return count;
}

size_t TrainedModel::weight_bytes() {
  return store().weight_bytes() + (frozen_ ? frozen_->decoded_bytes() : 0);
}

const std::string& TrainedModel::base_fingerprint() {
  if (!fingerprint_) {
    fingerprint_ = frozen_              ? WeightsFingerprint(frozen_->source())
                   : init_from_.empty() ? ""
                                        : WeightsFingerprint(*ModelSource::Open(init_from_));
  }
  return *fingerprint_;
}

void TrainedModel::CheckBase(bool had_adapters, const std::string& fingerprint) {
  if (had_adapters != adapters()) {
    throw Error("lora.rank",
                had_adapters ? "the checkpoint has adapters, and no whole model"
                             : "the checkpoint has a whole model, and no adapters",
                "resume with the configuration that the checkpoint was made with");
  }
  if (fingerprint == base_fingerprint()) return;
  throw Error("model.init_from",
              fmt::format("{} has other weights than the model that the run began with",
                          init_from_.empty() ? "a random model" : init_from_.string()),
              "put that model back, or begin another run");
}

void TrainedModel::Begin(const ModelConfig& model, ThreadPool& pool, bool quiet) {
  if (frozen_) {
    InitializeAdapters(settings_.seed, store());
  } else if (init_from_.empty()) {
    InitializeParameters(model, settings_.seed, pool, store(), quiet);
  } else if (ReadModelConfig(init_from_).head() != model.head()) {
    LoadTrunk(init_from_, model, store());
    InitializeParameter(model, settings_.seed, pool, store().Get(model.head_parameter()));
    store().MarkChanged();
  } else {
    LoadMasters(init_from_, model, store());
  }
}

std::optional<AdapterDescription> DescribeAdapters(const TrainingSettings& settings) {
  if (!settings.lora.enabled()) return std::nullopt;
  return AdapterDescription{.options = settings.lora.Options(), .base = settings.lora.base};
}

}  // namespace fathom
