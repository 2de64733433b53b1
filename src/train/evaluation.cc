#include "train/evaluation.h"

#include <algorithm>
#include <vector>

#include "base/interrupt.h"
#include "base/progress.h"
#include "data/byte_baseline.h"
#include "data/documents.h"
#include "train/training_step.h"

namespace fathom {

HeldOutScore ScoreHeldOut(Context& context, const Transformer& transformer, const RunInputs& inputs,
                          int64_t sequence_length, int64_t rows_at_once, AttentionForm form,
                          uint64_t max_tokens, uint64_t seed, bool quiet) {
  EvaluationOptions options;
  options.sequence_length = sequence_length;
  options.context = sequence_length / 2;
  options.begin_token = static_cast<int32_t>(inputs.model.bos_token_id);
  options.vocabulary = inputs.model.vocab_size;
  options.depth = inputs.model.num_nextn_predict_layers;
  // 0 would be all of them.
  if (max_tokens > 0)
    options.max_tokens =
        std::max<uint64_t>(1, max_tokens / std::max<size_t>(1, inputs.corpora.size()));
  options.seed = seed;
  std::vector<EvaluationRows> sets;
  double total = 0;
  for (const TokenCorpus& corpus : inputs.corpora) {
    if (corpus.held_out->documents() == 0) continue;
    sets.emplace_back(corpus.held_out, options);
    total += static_cast<double>(sets.back().targets());
  }
  Progress progress("scoring held-out documents", "tokens", total, quiet || max_tokens > 0);
  HeldOutScore score;
  double bits = 0, nats_of_all = 0, done = 0;
  const auto depths = static_cast<size_t>(options.depth) + 1;
  std::vector<double> mtp_nats(depths);
  std::vector<int64_t> mtp_targets(depths), accepted(depths);
  for (const EvaluationRows& set : sets) {
    double nats = 0;
    TokenRows rows;
    for (int64_t first = 0; first < set.rows(); first += rows_at_once) {
      set.Read(first, std::min(rows_at_once, set.rows() - first), rows);
      LossInput input = MakeLossInput(rows);
      const LossOutput output = LanguageModelLoss(
          context, transformer, input, {.form = form, .count_drafts = depths > 1}, nullptr);
      nats += output.nll[0];
      for (size_t k = 1; k < depths; ++k) {
        mtp_nats[k] += output.nll[k];
        mtp_targets[k] += output.targets[k];
        accepted[k] += output.accepted[k];
      }
      done += static_cast<double>(output.targets[0]);
      progress.Update(done);
    }
    bits += set.BitsPerByte(nats) * static_cast<double>(set.bytes());
    nats_of_all += nats;
    score.documents += set.documents();
    score.bytes += set.bytes();
    score.targets += set.targets();
  }
  if (score.bytes == 0) return score;
  score.bits_per_byte = bits / static_cast<double>(score.bytes);
  if (score.targets > 0) score.loss = nats_of_all / static_cast<double>(score.targets);
  for (size_t k = 1; k < depths; ++k) {
    const auto targets = static_cast<double>(std::max<int64_t>(1, mtp_targets[k]));
    score.mtp_loss.push_back(mtp_nats[k] / targets);
    score.mtp_acceptance.push_back(static_cast<double>(accepted[k]) / targets);
  }
  return score;
}

double HeldOutByteBaseline(const RunConfig& config, bool quiet) {
  constexpr const char* kWork = "the byte model";
  std::vector<std::vector<SourceFile>> files;
  double total = 0;
  for (const SourceSpec& source : config.data.sources) {
    files.push_back(ListFiles(source));
    for (const SourceFile& file : files.back()) total += static_cast<double>(file.size);
  }
  // The files are read twice: for the training documents and for the held-out ones.
  Progress progress(kWork, "bytes", 2 * total, quiet);
  double done = 0;
  const auto for_each = [&](bool held_out, FunctionRef<void(const Document&)> visit) {
    for (size_t i = 0; i < files.size(); ++i) {
      const auto take = [&](const Document& document, const ReadStatistics& so_far) {
        InterruptGuard::ThrowIfRequested(kWork);
        progress.Update(done + static_cast<double>(so_far.file_bytes));
        if (IsHeldOut(document.name, config.seed, config.data.held_out_fraction) == held_out)
          visit(document);
      };
      done +=
          static_cast<double>(ForEachDocument(config.data.sources[i], files[i], take).file_bytes);
    }
  };
  ByteBaseline baseline;
  double bits = 0, bytes = 0;
  for_each(false, [&](const Document& document) { baseline.Train(document.text); });
  baseline.Finish();
  for_each(true, [&](const Document& document) {
    bits += baseline.Bits(document.text);
    bytes += static_cast<double>(document.text.size());
  });
  return bytes > 0 ? bits / bytes : 0;
}

}  // namespace fathom
