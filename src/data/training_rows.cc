#include "data/training_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace fathom {
namespace {

constexpr uint64_t kSourceStreams = 0x736f75726365;
constexpr uint64_t kRowStreams = 0x726f7773;

void CheckSpecialToken(int32_t token, std::string_view what, int64_t vocabulary) {
  if (token >= 0 && token < vocabulary) return;
  throw Error(what, fmt::format("is token {}, outside the vocabulary of {}", token, vocabulary),
              "does the tokenizer belong to this model?");
}

void CheckOptions(const TrainingRowsOptions& options) {
  if (options.sequence_length < 1 || options.batch_rows < 1) {
    throw Error("training data",
                fmt::format("rows of {} tokens and batches of {} rows", options.sequence_length,
                            options.batch_rows),
                "both are at least 1");
  }
  FATHOM_CHECK(options.depth >= 0);
  const PackingOptions& packing = options.packing;
  CheckSpecialToken(packing.end_token, "end-of-document token", options.vocabulary);
  if (packing.begin_token >= 0)
    CheckSpecialToken(packing.begin_token, "begin-of-document token", options.vocabulary);
  const FillInTheMiddle& middle = packing.fill_in_the_middle;
  if (!(middle.rate >= 0 && middle.rate <= 1)) {
    throw Error("fill-in-the-middle", fmt::format("the rate is {}", middle.rate),
                "it lies between 0 and 1");
  }
  if (middle.rate > 0) {
    constexpr std::string_view kWhat = "fill-in-the-middle";
    for (const int32_t token : {middle.begin_token, middle.hole_token, middle.end_token})
      CheckSpecialToken(token, kWhat, options.vocabulary);
  }
}

void CheckSource(const TrainingSource& source, const TrainingRowsOptions& options) {
  if (!source.store || source.store->documents() == 0) {
    throw Error(source.name, "holds no document to train on",
                "hold less out, or give it more text");
  }
  if (source.store->vocabulary() > options.vocabulary) {
    throw Error(source.name,
                fmt::format("was tokenised for a vocabulary of {}, the model has {}",
                            source.store->vocabulary(), options.vocabulary),
                "tokenise it with this model's tokenizer");
  }
}

void CheckLength(const TrainingSource& source, const TrainingRowsOptions& options, uint64_t length,
                 uint64_t rows, double share) {
  const auto needed = static_cast<uint64_t>(options.sequence_length) + 1;
  const std::string has = fmt::format("{} tokens (its {} documents with their border tokens)",
                                      length, source.store->documents());
  if (length < needed) {
    throw Error(source.name,
                fmt::format("is too small for one row: it has {}, a row needs {} (sequence length "
                            "{} + 1)",
                            has, needed, options.sequence_length),
                "give it more text or shorten the sequence");
  }
  // A batch should not hold a row twice.
  const double wanted = std::ceil(share * static_cast<double>(options.batch_rows) - 1e-9);
  if (static_cast<double>(rows) < wanted) {
    throw Error(source.name,
                fmt::format("is too small for one batch: it has {}, which make {} rows of {}, and "
                            "a batch takes {:.0f} of its rows",
                            has, rows, options.sequence_length, wanted),
                "give it more text, or make the batch or the sequence smaller");
  }
}

std::vector<double> Weights(const std::vector<TrainingSource>& sources) {
  std::vector<double> weights;
  weights.reserve(sources.size());
  for (const TrainingSource& source : sources) weights.push_back(source.weight);
  return weights;
}

// The targets of one row and its segments, from its tokens and their documents. Inputs before
// `fresh` were predicted by another row; `known` tokens exist.
void Finish(const TrainingRowsOptions& options, const std::vector<uint64_t>& documents,
            int64_t fresh, int64_t known, int64_t row, TokenRows& batch) {
  const int32_t* tokens = batch.tokens.data() + row * (batch.length + 1 + batch.depth);
  for (int64_t level = 0; level <= batch.depth; ++level) {
    int32_t* targets = batch.targets.data() + (level * batch.rows + row) * batch.length;
    for (int64_t i = fresh; i < batch.length; ++i) {
      const int64_t target = i + 1 + level;
      if (target >= known) break;
      const bool crosses =
          documents[static_cast<size_t>(i)] != documents[static_cast<size_t>(target)];
      if (!options.document_mask || !crosses) targets[i] = tokens[target];
    }
  }
  int64_t begin = 0;
  for (int64_t i = 1; i <= batch.length; ++i) {
    const bool border =
        i == batch.length || (options.document_mask && documents[static_cast<size_t>(i)] !=
                                                           documents[static_cast<size_t>(i - 1)]);
    if (!border) continue;
    batch.segments.push_back({row, begin, i - begin});
    begin = i;
  }
}

}  // namespace

TrainingRows::TrainingRows(std::vector<TrainingSource> sources, const TrainingRowsOptions& options)
    : sources_(std::move(sources)), options_(options), mixture_(Weights(sources_)) {
  CheckOptions(options_);
  const auto row_length = static_cast<uint64_t>(options_.sequence_length);
  for (size_t s = 0; s < sources_.size(); ++s) {
    CheckSource(sources_[s], options_);
    State state;
    state.packing = options_.packing;
    state.packing.seed = MixKey(MixKey(options_.packing.seed, kSourceStreams), s);
    state.length = PackedStream::Length(*sources_[s].store, state.packing);
    // Each row predicts row_length tokens, and the first token of the stream is not predicted.
    state.rows = (state.length - 1 + row_length - 1) / row_length;
    CheckLength(sources_[s], options_, state.length, state.rows, mixture_.shares()[s]);
    states_.push_back(std::move(state));
  }
}

void TrainingRows::Read(uint64_t first, int64_t count, TokenRows& batch) {
  batch.Reset(count, options_.sequence_length, options_.depth);
  std::vector<uint64_t> counts = mixture_.Counts(first);
  for (int64_t row = 0; row < count; ++row) {
    const Mixture::Place place = mixture_.Next(counts);
    ReadRow(static_cast<size_t>(place.source), place.index, row, batch);
  }
}

void TrainingRows::ReadRow(size_t source, uint64_t index, int64_t row, TokenRows& batch) {
  State& state = states_[source];
  const uint64_t epoch = index / state.rows;
  if (!state.stream || state.epoch != epoch) {
    state.epoch = epoch;
    state.stream.emplace(sources_[source].store, state.packing, epoch);
    state.row_order.emplace(state.rows, MixKey(MixKey(state.packing.seed, kRowStreams), epoch));
  }
  const auto row_length = static_cast<uint64_t>(options_.sequence_length);
  const uint64_t planned = (*state.row_order)(index % state.rows) * row_length;
  // The last row moves back until it is full.
  const uint64_t begin = std::min(planned, state.length - 1 - row_length);
  const auto width = row_length + 1 + static_cast<uint64_t>(options_.depth);
  const uint64_t known = std::min(width, state.length - begin);
  documents_.assign(width, UINT64_MAX);
  int32_t* tokens = batch.tokens.data() + row * static_cast<int64_t>(width);
  state.stream->Copy(begin, known, tokens, documents_.data());
  std::fill(tokens + known, tokens + width, options_.packing.end_token);
  Finish(options_, documents_, static_cast<int64_t>(planned - begin), static_cast<int64_t>(known),
         row, batch);
}

std::vector<TrainingRows::Use> TrainingRows::UseAfter(uint64_t rows) const {
  const std::vector<uint64_t> counts = mixture_.Counts(rows);
  std::vector<Use> uses;
  for (size_t s = 0; s < sources_.size(); ++s) {
    uses.push_back({sources_[s].name, counts[s], states_[s].rows});
  }
  return uses;
}

uint64_t TrainingRows::Fingerprint() const {
  Hash64 hash;
  const PackingOptions& packing = options_.packing;
  const FillInTheMiddle& middle = packing.fill_in_the_middle;
  hash.UpdateField(fmt::format("{} {} {} {} {} {} {} {} {} {}", options_.sequence_length,
                               options_.depth, options_.document_mask, packing.end_token,
                               packing.begin_token, packing.seed, middle.rate, middle.begin_token,
                               middle.hole_token, middle.end_token));
  for (size_t s = 0; s < sources_.size(); ++s) {
    hash.UpdateField(fmt::format("{}", mixture_.shares()[s]));
    hash.UpdateField(sources_[s].store->summary().token_hash);
    hash.UpdateField(sources_[s].store->summary().table_hash);
  }
  return hash.Digest();
}

}  // namespace fathom
