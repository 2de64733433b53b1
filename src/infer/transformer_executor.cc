#include "infer/transformer_executor.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "infer/forward.h"
#include "ops/backend.h"

namespace fathom {
namespace {

// The `top` most likely tokens of a row of logits, given its ln sum exp.
std::vector<RankedToken> MostLikely(std::span<const float> logits, float lse, int64_t top,
                                    std::vector<int32_t>& ids) {
  ids.resize(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + std::min(top, static_cast<int64_t>(ids.size()));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<RankedToken> ranked;
  for (auto id = ids.begin(); id != end; ++id) {
    ranked.push_back({*id, logits[static_cast<size_t>(*id)] - lse});
  }
  return ranked;
}

// The place of the token drawn at a position among those of its piece: 0 for the first one after
// the tokens that there are.
int64_t DrawnIndex(const Piece& piece, int64_t position) {
  return position - piece.first_position - (std::ssize(piece.tokens) - piece.guesses);
}

}  // namespace

TransformerExecutor::TransformerExecutor(Context& context, const Transformer& transformer,
                                         int64_t pages, CacheFormat format)
    : context_(context),
      transformer_(transformer),
      cache_(transformer.config(), transformer.precision(), format, pages,
             context.backend->allocator()) {
  FATHOM_CHECK(transformer.precision().sum == DType::kF32);
  if (!transformer.mtp().empty()) drafter_.emplace(context, transformer, cache_);
}

void TransformerExecutor::CopyPage(int32_t from, int32_t to) {
  std::vector<std::byte> bytes(static_cast<size_t>(page_bytes()));
  ReadPage(from, bytes);
  WritePage(to, bytes);
}

void TransformerExecutor::ReadPage(int32_t page, std::span<std::byte> bytes) {
  const Tensor rows = cache_.Page(page);
  FATHOM_CHECK(static_cast<int64_t>(bytes.size()) == rows.bytes());
  context_.backend->CopyToHost(rows, Tensor(bytes.data(), rows.dtype(), rows.shape()));
}

void TransformerExecutor::WritePage(int32_t page, std::span<const std::byte> bytes) {
  const Tensor rows = cache_.Page(page);
  FATHOM_CHECK(static_cast<int64_t>(bytes.size()) == rows.bytes());
  context_.backend->CopyFromHost(ConstTensor(bytes.data(), rows.dtype(), rows.shape()), rows);
}

std::vector<PieceResult> TransformerExecutor::Compute(std::span<const Piece> pieces) {
  std::vector<int32_t> tokens;
  std::vector<BatchSequence> batch;
  // Rows that logits are wanted of come first, then those of which the log-probability of a known
  // token is enough.
  std::vector<Row> rows, lone;
  for (size_t p = 0; p < pieces.size(); ++p) {
    const Piece& piece = pieces[p];
    const auto begin = static_cast<int64_t>(tokens.size()),
               count = static_cast<int64_t>(piece.tokens.size());
    batch.push_back({.begin = begin,
                     .count = count,
                     .first_position = piece.first_position,
                     .pages = piece.pages});
    tokens.insert(tokens.end(), piece.tokens.begin(), piece.tokens.end());
    for (size_t i = 0; i < piece.targets.size(); ++i) {
      const int64_t row = piece.first_scored + static_cast<int64_t>(i) - 1 - piece.first_position;
      FATHOM_CHECK(row >= 0 && row < count);
      (piece.top > 0 ? rows : lone)
          .push_back({p, static_cast<int32_t>(begin + row), piece.targets[i]});
    }
    FATHOM_CHECK(piece.guesses >= 0 && piece.guesses < count);
    for (int64_t row = count - 1 - piece.guesses; piece.sampler != nullptr && row < count; ++row) {
      rows.push_back({p, static_cast<int32_t>(begin + row), -1, piece.first_position + row + 1});
    }
  }
  const auto with_logits = static_cast<int64_t>(rows.size());
  rows.insert(rows.end(), lone.begin(), lone.end());
  const auto all = static_cast<int64_t>(rows.size());
  std::vector<int32_t> batch_rows;
  for (const Row& row : rows) batch_rows.push_back(row.batch_row);
  std::vector<size_t> embedded;  // pieces
  for (size_t p = 0; p < pieces.size(); ++p) {
    if (!pieces[p].embeds) continue;
    embedded.push_back(p);
    batch_rows.push_back(static_cast<int32_t>(batch[p].begin + batch[p].count - 1));
  }
  const auto before_drafts = static_cast<int64_t>(batch_rows.size());
  // Of pieces that draft all hidden states are wanted.
  for (size_t p = 0; p < pieces.size(); ++p) {
    if (pieces[p].draft == nullptr) continue;
    FATHOM_CHECK(drafter_.has_value());
    for (int64_t i = 0; i < batch[p].count; ++i)
      batch_rows.push_back(static_cast<int32_t>(batch[p].begin + i));
  }

  ArenaScope scope(*context_.workspace);
  const Tensor h = ForwardRows(context_, transformer_, cache_, tokens, std::move(batch), batch_rows,
                               &expert_load_);
  std::vector<PieceResult> results(pieces.size());
  for (int64_t begin = 0; begin < with_logits; begin += kLogitRows) {
    const int64_t end = std::min(with_logits, begin + kLogitRows);
    ReadWithLogits(pieces, {rows.data() + begin, static_cast<size_t>(end - begin)},
                   h.Rows(begin, end), results);
  }
  if (all > with_logits) {
    ReadLogProbs({rows.data() + with_logits, lone.size()}, h.Rows(with_logits, all), results);
  }
  for (size_t i = 0; i < embedded.size(); ++i) {
    results[embedded[i]].hidden = ReadHidden(h.Rows(all + static_cast<int64_t>(i), before_drafts));
  }
  if (h.dim(0) > before_drafts) {
    drafter_->Draft(pieces, h.Rows(before_drafts, h.dim(0)), results);
  }
  return results;
}

std::vector<float> TransformerExecutor::ReadHidden(ConstTensor h) {
  ArenaScope scope(*context_.workspace);
  const Tensor row = context_.workspace->New(DType::kF32, Shape({1, h.dim(1)}));
  context_.backend->Cast(context_, h.Rows(0, 1), row);
  return Download(context_, row);
}

int32_t TransformerExecutor::Draw(const Piece& piece, std::span<const float> logits,
                                  int64_t position, PieceResult& result) {
  // What comes after a guess that does not hold, or after an error, never happened.
  std::vector<int32_t> ahead;
  for (const DrawnToken& drawn : result.drawn) ahead.push_back(drawn.token);
  const int64_t index = DrawnIndex(piece, position);
  const auto guesses = piece.tokens.last(static_cast<size_t>(piece.guesses));
  if (!result.error.empty() || std::ssize(ahead) != index ||
      (index > 0 && ahead.back() != guesses[static_cast<size_t>(index - 1)])) {
    return -1;
  }
  try {
    result.drawn.push_back({.token = piece.sampler->Sample(logits, position, ahead)});
    return result.drawn.back().token;
  } catch (const Error& error) {
    result.error = error.what();
    return -1;
  }
}

void TransformerExecutor::ReadWithLogits(std::span<const Piece> pieces, std::span<const Row> rows,
                                         ConstTensor h, std::vector<PieceResult>& results) {
  Backend& backend = *context_.backend;
  Arena& workspace = *context_.workspace;
  ArenaScope scope(workspace);
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t vocabulary = transformer_.head().vocab_size();
  const Tensor logits = workspace.New(DType::kF32, Shape({count, vocabulary}));
  transformer_.head().Logits(context_, h, logits);
  const std::vector<float> host = Download(context_, logits);
  const auto row_logits = [&](size_t row) {
    return std::span(host).subspan(row * static_cast<size_t>(vocabulary),
                                   static_cast<size_t>(vocabulary));
  };
  std::vector<int32_t> targets;
  for (size_t r = 0; r < rows.size(); ++r) {
    const bool draws = rows[r].target < 0;
    targets.push_back(
        draws ? Draw(pieces[rows[r].piece], row_logits(r), rows[r].position, results[rows[r].piece])
              : rows[r].target);
  }
  // One definition of a log-probability for sampler, scorer and trainer: the backend's.
  const Tensor ids = UploadIds(context_, workspace, targets);
  const Tensor logprob = workspace.New(DType::kF32, Shape({count}));
  const Tensor sampled = workspace.New(DType::kF32, Shape({count}));
  const Tensor lse = workspace.New(DType::kF32, Shape({count}));
  const Tensor unused = workspace.New(DType::kF32, Shape({1}));
  backend.LogProb(context_, logits, 1, ids, logprob, lse);
  backend.Cast(context_, logprob, sampled);
  for (int64_t r = 0; r < count; ++r) {
    const Row& row = rows[static_cast<size_t>(r)];
    if (row.target >= 0) continue;
    const double temperature = pieces[row.piece].sampler->params().temperature;
    if (temperature == 0 || temperature == 1) continue;
    backend.LogProb(context_, logits.Rows(r, r + 1), temperature, ids.Rows(r, r + 1),
                    sampled.Rows(r, r + 1), unused);
  }
  const std::vector<float> logprobs = Download(context_, logprob),
                           sampled_logprobs = Download(context_, sampled),
                           sums = Download(context_, lse);
  std::vector<int32_t> scratch;
  for (size_t r = 0; r < rows.size(); ++r) {
    const Piece& piece = pieces[rows[r].piece];
    PieceResult& result = results[rows[r].piece];
    if (targets[r] < 0) continue;
    ScoredToken score{logprobs[r], {}};
    if (piece.top > 0) score.top = MostLikely(row_logits(r), sums[r], piece.top, scratch);
    // The sum was rounded on its way here; the token itself has the number that it has elsewhere.
    for (RankedToken& ranked : score.top) {
      if (ranked.token == targets[r]) ranked.logprob = score.logprob;
    }
    if (rows[r].target >= 0) {
      result.scores.push_back(std::move(score));
    } else {
      DrawnToken& drawn = result.drawn[static_cast<size_t>(DrawnIndex(piece, rows[r].position))];
      drawn.score = std::move(score);
      drawn.sampled_logprob = sampled_logprobs[r];
    }
  }
}

void TransformerExecutor::ReadLogProbs(std::span<const Row> rows, ConstTensor h,
                                       std::vector<PieceResult>& results) {
  Arena& workspace = *context_.workspace;
  ArenaScope scope(workspace);
  std::vector<int32_t> targets;
  for (const Row& row : rows) targets.push_back(row.target);
  const Tensor logprob = workspace.New(DType::kF32, Shape({static_cast<int64_t>(rows.size())}));
  transformer_.head().LogProb(context_, h, 1, UploadIds(context_, workspace, targets), logprob);
  const std::vector<float> logprobs = Download(context_, logprob);
  for (size_t r = 0; r < rows.size(); ++r)
    results[rows[r].piece].scores.push_back({logprobs[r], {}});
}

}  // namespace fathom
