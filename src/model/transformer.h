#pragma once

#include <memory>
#include <vector>

#include "base/function_ref.h"

#include "model/decoder_layer.h"
#include "model/mtp.h"
#include "model/output_head.h"

namespace fathom {

// The model. One forward serves prefill, a chunk of one, decode, verification of drafts, scoring
// and training: the batch says which tokens, the cache what came before them, and `saved` whether a
// backward will follow.
class Transformer {
 public:
  // The parameters and the allocator have to outlive it.
  Transformer(const ModelConfig& config, Precision precision, ParameterStore& store,
              Allocator& allocator);

  const ModelConfig& config() const { return config_; }
  Precision precision() const { return precision_; }
  const OutputHead& head() const { return head_; }
  const std::vector<std::unique_ptr<DecoderLayer>>& layers() const { return layers_; }
  const std::vector<std::unique_ptr<MtpModule>>& mtp() const { return mtp_; }
  const ParameterStore& parameters() const { return *store_; }
  size_t packed_bytes() const { return packed_.used(); }

  // Brings the packed copies of the weights that a forward in `form` reads up to date, and with
  // `training` those that backward reads; does nothing for copies that are. Pages of files that
  // were read are given back layer by layer. progress: bytes packed so far.
  void Pack(
      Context& context, AttentionForm form, bool training,
      FunctionRef<void(size_t bytes)> progress = [](size_t) {});

  // What all layers of a forward share; the rotation table is allocated in `arena`.
  Pass MakePass(Context& context, const Batch& batch, KvCache* cache, AttentionForm form,
                Arena& arena) const;

  // Embeds the batch's tokens and runs all layers: the residual stream sum [T, hidden], before the
  // final norm. In saved's arena, or in the workspace when saved is null.
  Tensor Forward(Context& context, const Pass& pass, SavedActivations* saved) const;
  Tensor Embed(Context& context, ConstTensor ids, Arena& arena) const;
  // Layers [begin, end); see DecoderLayer::Forward for what becomes of x.
  Tensor ForwardLayers(Context& context, const Pass& pass, int64_t begin, int64_t end, Tensor x,
                       SavedActivations* saved) const;
  // h act [T, hidden] = the final norm of x; inv_rms sum [T] may be empty.
  void FinalNorm(Context& context, Tensor x, Tensor h, Tensor inv_rms) const;

  // Both halves of the layers' backward in one go: dx sum [T, hidden], in and out.
  void BackwardLayers(Context& context, const Pass& pass, int64_t begin, int64_t end,
                      SavedActivations& saved, Tensor dx) const;
  // Assigns dx from dh (sum), through the final norm, and adds to its gain's gradient.
  void BackwardFinalNorm(Context& context, ConstTensor dh, ConstTensor x, ConstTensor inv_rms,
                         Tensor dx) const;
  void BackwardEmbed(Context& context, ConstTensor ids, ConstTensor dx) const;

 private:
  ModelConfig config_;
  Precision precision_;
  RopeParameters rope_;
  ParameterStore* store_;
  Parameter* embedding_;
  Parameter* final_norm_;
  std::vector<std::unique_ptr<DecoderLayer>> layers_;
  std::vector<std::unique_ptr<MtpModule>> mtp_;
  OutputHead head_;
  Arena packed_;
  uint64_t packed_version_ = 0;  // of the parameters
  PackedUses packed_uses_;       // up to date with that version
};

}  // namespace fathom
