#include "model/language_model_loss.h"

#include <optional>

#include "base/error.h"
#include "model/kept.h"

namespace fathom {
namespace {

std::vector<double> Download(Context& context, ConstTensor x) {
  const auto size = static_cast<size_t>(x.elements());
  if (x.dtype() == DType::kF64) {
    std::vector<double> values(size);
    context.backend->CopyToHost(x, Tensor(values.data(), DType::kF64, x.shape()));
    return values;
  }
  std::vector<float> values(size);
  context.backend->CopyToHost(x, Tensor(values.data(), DType::kF32, x.shape()));
  return {values.begin(), values.end()};
}

Tensor Upload(Context& context, Arena& arena, DType dtype, const std::vector<double>& values) {
  const Shape shape({static_cast<int64_t>(values.size())});
  Tensor tensor = arena.New(dtype, shape);
  if (dtype == DType::kF64) {
    context.backend->CopyFromHost(ConstTensor(values.data(), dtype, shape), tensor);
  } else {
    const std::vector<float> narrow(values.begin(), values.end());
    context.backend->CopyFromHost(ConstTensor(narrow.data(), dtype, shape), tensor);
  }
  return tensor;
}

// One depth's way through forward, kept for the way back.
struct Depth {
  Tensor ids, targets;
  Tensor x;  // the residual stream after the depth's layers
  Tensor h;  // act: its norm
  Tensor inv_rms;
  MtpSaved mtp;
};

class LossPass {
 public:
  LossPass(Context& context, const Transformer& transformer, const LossInput& input,
           const LossOptions& options, SavedActivations* saved)
      : context_(context),
        transformer_(transformer),
        input_(input),
        options_(options),
        saved_(saved),
        arena_(saved != nullptr ? saved->arena : *context.workspace),
        precision_(transformer.precision()) {
    FATHOM_CHECK(!input.inputs.empty() && input.inputs.size() == input.targets.size() &&
                 input.inputs.size() <= transformer.mtp().size() + 1);
  }

  void Forward() {
    batch_ = MakeBatch(context_, arena_, input_.inputs[0], input_.sequences);
    pass_ = transformer_.MakePass(context_, batch_, nullptr, options_.form, arena_);
    if (saved_ != nullptr && options_.balance_alpha > 0) SetBalance();
    depths_.resize(input_.inputs.size());
    for (size_t k = 0; k < depths_.size(); ++k) {
      Depth& depth = depths_[k];
      depth.targets = UploadIds(context_, arena_, input_.targets[k]);
      depth.inv_rms = arena_.New(precision_.sum, Shape({batch_.size}));
      depth.h = arena_.New(precision_.act, Shape({batch_.size, transformer_.config().hidden_size}));
      // The stream itself is given back where backward keeps a copy.
      std::optional<ArenaScope> scope;
      if (saved_ != nullptr && precision_.norm_input != precision_.sum) {
        scope.emplace(*context_.workspace);
      }
      if (k == 0) {
        depth.ids = batch_.tokens;
        depth.x = Kept(transformer_.Forward(context_, pass_, saved_));
        transformer_.FinalNorm(context_, depth.x, depth.h, depth.inv_rms);
        continue;
      }
      const MtpModule& module = *transformer_.mtp()[k - 1];
      depth.ids = UploadIds(context_, arena_, input_.inputs[k]);
      depth.x = Kept(module.Forward(context_, pass_, depths_[k - 1].h, depth.ids, arena_, saved_,
                                    saved_ != nullptr ? &depth.mtp : nullptr));
      context_.backend->RmsNorm(context_, depth.x, module.output_norm().value,
                                transformer_.config().rms_norm_eps, depth.h, depth.inv_rms);
    }
  }

  // What the head makes of a depth's targets: log-probs or scores; 0 where there is no target.
  std::vector<double> Outputs(size_t k) {
    ArenaScope scope(*context_.workspace);
    const Tensor output = context_.workspace->New(precision_.sum, Shape({batch_.size}));
    if (!scores()) {
      transformer_.head().LogProb(context_, depths_[k].h, Temperature(k), depths_[k].targets,
                                  output);
      return Download(context_, output);
    }
    transformer_.head().Logits(context_, depths_[k].h, output.Reshape(Shape({batch_.size, 1})));
    std::vector<double> values = Download(context_, output);
    for (size_t i = 0; i < values.size(); ++i) {
      if (input_.targets[k][i] < 0) values[i] = 0;
    }
    return values;
  }

  // Sum of the divergences from the teacher.
  double Divergence() {
    ArenaScope scope(*context_.workspace);
    const OutputHead::SoftTargets soft = FromTeacher(/*weight=*/1);
    transformer_.head().Divergence(context_, depths_[0].h, soft);
    return SumOf(soft.kl);
  }
  double kl() const { return kl_; }

  // See LossOutput::accepted.
  std::vector<int64_t> CountAccepted() {
    std::vector<int32_t> main;
    std::vector<int64_t> accepted;
    for (size_t k = 0; k < depths_.size(); ++k) {
      const std::vector<int32_t> drafts = transformer_.head().Greedy(context_, depths_[k].h);
      if (k == 0) main = drafts;
      const std::vector<int32_t>& targets = input_.targets[k];
      int64_t count = 0;
      for (size_t i = 0; i < targets.size(); ++i)
        count += targets[i] >= 0 && drafts[i] == main[i + k] ? 1 : 0;
      accepted.push_back(count);
    }
    return accepted;
  }

  // Goes back from the last depth to the first; returns each depth's log-probs, or scores.
  std::vector<std::vector<double>> Backward() {
    Backend& backend = *context_.backend;
    Arena& workspace = *context_.workspace;
    ArenaScope scope(workspace);
    const Shape stream_shape({batch_.size, transformer_.config().hidden_size});
    const Tensor dx = workspace.New(precision_.sum, stream_shape);
    const Tensor dh = workspace.New(precision_.sum, stream_shape);
    const Tensor dprevious = workspace.New(precision_.sum, stream_shape);  // from the depth after
    std::vector<std::vector<double>> outputs(depths_.size());
    for (size_t k = depths_.size(); k-- > 0;) {
      const Depth& depth = depths_[k];
      outputs[k] = scores() ? ScoreAndBackward(dh) : LogProbAndBackward(k, dh);
      if (k + 1 < depths_.size()) backend.Add(context_, dprevious, dh);
      if (k > 0) {
        const MtpModule& module = *transformer_.mtp()[k - 1];
        backend.RmsNormBackwardInput(context_, dh, depth.x, module.output_norm().value,
                                     depth.inv_rms, false, dx);
        if (const Tensor& gain = module.output_norm().grad; !gain.empty())
          backend.RmsNormBackwardWeight(context_, dh, depth.x, depth.inv_rms, gain);
        backend.Zero(context_, dprevious);
        module.Backward(context_, pass_, *saved_, depth.mtp, depth.ids, dx, dprevious);
      } else {
        transformer_.BackwardFinalNorm(context_, dh, depth.x, depth.inv_rms, dx);
        transformer_.BackwardLayers(context_, pass_, 0, transformer_.config().num_hidden_layers,
                                    *saved_, dx);
        transformer_.BackwardEmbed(context_, depth.ids, dx);
      }
    }
    return outputs;
  }

  double BalanceLoss() const {
    double sum = 0;
    for (const LayerSaved& layer : saved_->layers) {
      if (layer.moe.balance_loss.empty()) continue;
      for (const double loss : Download(context_, layer.moe.balance_loss)) sum += loss;
    }
    return sum;
  }

 private:
  double Temperature(size_t k) const { return k == 0 ? options_.temperature : 1; }

  double SumOf(ConstTensor values) const {
    double sum = 0;
    for (const double value : Download(context_, values)) sum += value;
    return sum;
  }

  // What the teacher says of the batch, in the workspace; weight: of every target.
  OutputHead::SoftTargets FromTeacher(double weight) {
    const SoftTargets& soft = *options_.soft;
    const Transformer& teacher = *soft.teacher;
    Arena& workspace = *context_.workspace;
    const Tensor h =
        workspace.New(teacher.precision().act, Shape({batch_.size, teacher.config().hidden_size}));
    {
      ArenaScope scope(workspace);
      const Pass pass = teacher.MakePass(context_, batch_, nullptr, soft.form, workspace);
      teacher.FinalNorm(context_, teacher.Forward(context_, pass, nullptr), h, {});
    }
    std::vector<double> weights(input_.targets[0].size(), weight);
    for (size_t i = 0; i < weights.size(); ++i) {
      if (input_.targets[0][i] < 0) weights[i] = 0;
    }
    return {.teacher = teacher.head(),
            .teacher_h = h,
            .weight = Upload(context_, workspace, precision_.sum, weights),
            .temperature = soft.temperature,
            .kl = workspace.New(precision_.sum, Shape({batch_.size}))};
  }

  bool scores() const { return transformer_.head().kind() == ModelHead::kScore; }

  // The head's way back at a depth: assigns dh, returns the log-probs.
  std::vector<double> LogProbAndBackward(size_t k, Tensor dh) {
    const Depth& depth = depths_[k];
    Arena& workspace = *context_.workspace;
    ArenaScope scope(workspace);
    const Tensor logprob = workspace.New(precision_.sum, Shape({batch_.size}));
    const Tensor dlogprob =
        Upload(context_, workspace, precision_.sum,
               LossGradient(k, k == 0 && options_.doutput ? Outputs(0) : std::vector<double>()));
    std::optional<OutputHead::SoftTargets> soft;
    if (k == 0 && options_.soft != nullptr) {
      const double temperature = options_.soft->temperature;
      soft.emplace(FromTeacher(options_.target_weight.at(0) * options_.soft->weight * temperature *
                               temperature));
    }
    transformer_.head().LogProbAndBackward(context_, depth.h, Temperature(k), depth.targets,
                                           dlogprob, logprob, dh, soft ? &*soft : nullptr);
    if (soft) kl_ = SumOf(soft->kl);
    return Download(context_, logprob);
  }

  // The same of a head that scores, which there is at depth 0 alone; returns the scores.
  std::vector<double> ScoreAndBackward(Tensor dh) {
    ArenaScope scope(*context_.workspace);
    std::vector<double> outputs = Outputs(0);
    const Tensor dscore =
        Upload(context_, *context_.workspace, precision_.sum, LossGradient(0, outputs));
    transformer_.head().ScoreBackward(context_, depths_[0].h, dscore, dh);
    return outputs;
  }

  // dLoss/doutput of every row; 0 where there is no target. outputs: for options.doutput.
  std::vector<double> LossGradient(size_t k, std::span<const double> outputs) {
    const std::vector<int32_t>& targets = input_.targets[k];
    std::vector<double> gradient;
    if (k == 0 && options_.doutput) {
      gradient = options_.doutput(outputs);
      FATHOM_CHECK(gradient.size() == targets.size());
    } else {
      const double hard = k == 0 && options_.soft != nullptr ? 1 - options_.soft->weight : 1;
      gradient.assign(targets.size(), -hard * options_.target_weight.at(k));
    }
    for (size_t i = 0; i < targets.size(); ++i) {
      if (targets[i] < 0) gradient[i] = 0;
    }
    return gradient;
  }

  // The stream as the last norm reads it.
  Tensor Kept(Tensor x) const { return InType(context_, x, precision_.norm_input, arena_); }

  void SetBalance() {
    pass_.balance_alpha = options_.balance_alpha;
    if (input_.balance_group.empty()) {
      pass_.balance_group = batch_.sequence_of;
      pass_.balance_groups = static_cast<int64_t>(batch_.sequences.size());
    } else {
      pass_.balance_group = UploadIds(context_, arena_, input_.balance_group);
      pass_.balance_groups = input_.balance_group.back() + 1;
    }
  }

  Context& context_;
  const Transformer& transformer_;
  const LossInput& input_;
  const LossOptions& options_;
  SavedActivations* saved_;
  Arena& arena_;
  Precision precision_;
  Batch batch_;
  Pass pass_;
  std::vector<Depth> depths_;
  double kl_ = 0;
};

}  // namespace

LossOutput LanguageModelLoss(Context& context, const Transformer& transformer,
                             const LossInput& input, const LossOptions& options,
                             SavedActivations* saved) {
  ArenaScope scope(*context.workspace);
  if (saved != nullptr) {
    saved->layers.clear();
    saved->arena.Reset();
  }
  LossOptions scaled = options;
  const bool scores = transformer.head().kind() == ModelHead::kScore;
  FATHOM_CHECK(options.soft == nullptr || !(options.doutput || scores));
  FATHOM_CHECK(!scores || saved == nullptr || options.doutput);
  scaled.balance_alpha = options.balance_alpha * options.balance_weight;
  LossPass pass(context, transformer, input, scaled, saved);
  pass.Forward();

  LossOutput output;
  std::vector<std::vector<double>> outputs;
  if (saved != nullptr) {
    outputs = pass.Backward();
    output.kl = pass.kl();
    if (scaled.balance_alpha > 0) output.balance_loss = pass.BalanceLoss() / options.balance_weight;
  } else {
    for (size_t k = 0; k < input.inputs.size(); ++k) outputs.push_back(pass.Outputs(k));
    if (options.soft != nullptr) output.kl = pass.Divergence();
    if (options.count_drafts) output.accepted = pass.CountAccepted();
  }
  for (size_t k = 0; k < outputs.size(); ++k) {
    double nll = 0;
    int64_t targets = 0;
    for (size_t i = 0; i < outputs[k].size(); ++i) {
      if (!scores) nll -= outputs[k][i];
      targets += input.targets[k][i] >= 0 ? 1 : 0;
    }
    output.nll.push_back(nll);
    output.targets.push_back(targets);
  }
  return output;
}

std::vector<double> TokenLosses(Context& context, const Transformer& transformer,
                                const LossInput& input, AttentionForm form, double temperature) {
  ArenaScope scope(*context.workspace);
  LossOptions options{.form = form, .temperature = temperature};
  LossPass pass(context, transformer, input, options, nullptr);
  pass.Forward();
  std::vector<double> losses = pass.Outputs(0);
  for (double& loss : losses) loss = -loss;
  return losses;
}

std::vector<double> SequenceScores(Context& context, const Transformer& transformer,
                                   std::span<const std::vector<int32_t>> texts,
                                   AttentionForm form) {
  FATHOM_CHECK(transformer.head().kind() == ModelHead::kScore);
  LossInput input{.inputs = {{}}, .targets = {{}}};
  std::vector<int32_t>&ids = input.inputs[0], &targets = input.targets[0];
  for (const std::vector<int32_t>& text : texts) {
    input.sequences.push_back(
        {.begin = static_cast<int64_t>(ids.size()), .count = static_cast<int64_t>(text.size())});
    ids.insert(ids.end(), text.begin(), text.end());
    targets.resize(ids.size(), -1);
    targets.back() = 0;
  }
  ArenaScope scope(*context.workspace);
  const LossOptions options{.form = form};
  LossPass pass(context, transformer, input, options, nullptr);
  pass.Forward();
  const std::vector<double> outputs = pass.Outputs(0);
  std::vector<double> scores;
  for (const BatchSequence& sequence : input.sequences)
    scores.push_back(outputs[static_cast<size_t>(sequence.begin + sequence.count - 1)]);
  return scores;
}

}  // namespace fathom
