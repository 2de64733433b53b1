#include "infer/mtp_drafter.h"

#include <algorithm>

#include "base/error.h"
#include "infer/forward.h"
#include "model/kept.h"
#include "ops/backend.h"

namespace fathom {

// The module's rows of one piece.
struct MtpDrafter::Run {
  const Piece* piece;
  PieceResult* result;
  int64_t position = 0;  // of the next guess
  bool guesses = false;  // whether it goes as far as the last token there is

  // The tokens that a guess at `position` comes after, from the first that was drawn on.
  std::vector<int32_t> Ahead() const {
    std::vector<int32_t> ahead;
    for (const DrawnToken& drawn : result->drawn) ahead.push_back(drawn.token);
    ahead.insert(ahead.end(), result->guesses.begin(), result->guesses.end());
    return ahead;
  }
  // Whether there is a place for the row of a guess at `position`.
  bool HasRoom() const {
    return position < static_cast<int64_t>(piece->pages.size()) * KvCache::kPageTokens;
  }
  bool WantsMore() const {
    return static_cast<int64_t>(result->guesses.size()) < piece->drafts && HasRoom();
  }
};

void MtpDrafter::Draft(std::span<const Piece> pieces, ConstTensor h,
                       std::vector<PieceResult>& results) {
  ArenaScope scope(*context_.workspace);
  Input input;
  std::vector<Run> guessing;
  std::vector<int32_t> last;  // their last rows
  int64_t first_row = 0;
  for (size_t p = 0; p < pieces.size(); ++p) {
    if (pieces[p].draft == nullptr) continue;
    const Run run = Add(pieces[p], results[p], first_row, h.dim(0), input);
    first_row += static_cast<int64_t>(pieces[p].tokens.size());
    if (!run.guesses || pieces[p].drafts == 0) continue;
    guessing.push_back(run);
    last.push_back(static_cast<int32_t>(input.tokens.size()) - 1);
  }
  FATHOM_CHECK(first_row == h.dim(0));
  if (!input.tokens.empty()) {
    const Tensor x = RunModule(input.tokens, input.batch, Previous(h, input));
    if (!guessing.empty()) GuessOn(std::move(guessing), std::move(last), x);
  }
  // What a next step goes on from, where its first token's row was not computed here.
  first_row = 0;
  for (size_t p = 0; p < pieces.size(); ++p) {
    const Piece& piece = pieces[p];
    if (piece.draft == nullptr) continue;
    const auto drawn = static_cast<int64_t>(results[p].drawn.size());
    const int64_t hold = static_cast<int64_t>(piece.tokens.size()) - piece.guesses +
                         std::max<int64_t>(0, drawn - 1);  // of the piece's tokens
    piece.draft->hidden.clear();
    if (piece.draft->next == piece.first_position + hold)
      piece.draft->hidden = Carry(h, first_row + hold - 1);
    first_row += static_cast<int64_t>(piece.tokens.size());
  }
}

MtpDrafter::Run MtpDrafter::Add(const Piece& piece, PieceResult& result, int64_t first_row,
                                int64_t rows, Input& input) {
  DraftState& state = *piece.draft;
  const int64_t begin = piece.first_position;
  const int64_t known = begin + static_cast<int64_t>(piece.tokens.size()) - piece.guesses;
  const int64_t length = known + static_cast<int64_t>(result.drawn.size());
  const int64_t room = static_cast<int64_t>(piece.pages.size()) * KvCache::kPageTokens;
  const int64_t end = std::min(length, room);
  // The row of the piece's first token may be there, or what it needs may come from the step
  // before; otherwise (a prefix out of the cache, a step without drafts) it is left out: a row of
  // unknown content among the keys makes a guess a little worse, no more.
  const bool carries = state.next == begin && begin > 0 && !state.hidden.empty();
  const int64_t first = carries ? begin : begin + 1;
  if (first < end) {
    input.batch.push_back({.begin = static_cast<int64_t>(input.tokens.size()),
                           .count = end - first,
                           .first_position = first - 1,
                           .pages = piece.pages});
  }
  for (int64_t position = first; position < end; ++position) {
    input.tokens.push_back(position < known
                               ? piece.tokens[static_cast<size_t>(position - begin)]
                               : result.drawn[static_cast<size_t>(position - known)].token);
    if (position > begin) {
      input.sources.push_back(static_cast<int32_t>(first_row + position - 1 - begin));
    } else {
      input.sources.push_back(static_cast<int32_t>(rows + std::ssize(input.carried)));
      input.carried.push_back(state.hidden);
    }
  }
  state.next = std::max(first, end);
  return {&piece, &result, length, first < end && end == length && !result.drawn.empty()};
}

std::vector<float> MtpDrafter::Carry(ConstTensor h, int64_t row) {
  ArenaScope scope(*context_.workspace);
  const Tensor copy = context_.workspace->New(DType::kF32, Shape({1, h.dim(1)}));
  context_.backend->Cast(context_, h.Rows(row, row + 1), copy);
  return Download(context_, copy);
}

Tensor MtpDrafter::Previous(ConstTensor h, const Input& input) {
  Backend& backend = *context_.backend;
  Arena& workspace = *context_.workspace;
  const int64_t rows = h.dim(0), hidden = h.dim(1), carried = std::ssize(input.carried);
  const Tensor previous =
      workspace.New(h.dtype(), Shape({static_cast<int64_t>(input.tokens.size()), hidden}));
  ArenaScope scope(workspace);
  ConstTensor states = h;
  if (carried > 0) {
    const Tensor all = workspace.New(h.dtype(), Shape({rows + carried, hidden}));
    const Tensor copy = workspace.New(DType::kF32, Shape({1, hidden}));
    backend.Cast(context_, h, all.Rows(0, rows));
    for (int64_t i = 0; i < carried; ++i) {
      const std::vector<float>& state = input.carried[static_cast<size_t>(i)];
      backend.CopyFromHost(ConstTensor(state.data(), DType::kF32, copy.shape()), copy);
      backend.Cast(context_, copy, all.Rows(rows + i, rows + i + 1));
    }
    states = all;
  }
  backend.GatherRows(context_, states, UploadIds(context_, workspace, input.sources), previous);
  return previous;
}

Tensor MtpDrafter::RunModule(std::span<const int32_t> tokens, std::vector<BatchSequence> sequences,
                             ConstTensor previous) {
  Arena& workspace = *context_.workspace;
  const Batch batch = MakeBatch(context_, workspace, tokens, std::move(sequences));
  const Pass pass =
      transformer_.MakePass(context_, batch, &cache_, AttentionForm::kAbsorbed, workspace);
  return transformer_.mtp()[0]->Forward(context_, pass, previous, batch.tokens, workspace, nullptr,
                                        nullptr);
}

void MtpDrafter::GuessOn(std::vector<Run> runs, std::vector<int32_t> last, Tensor x) {
  Backend& backend = *context_.backend;
  Arena& workspace = *context_.workspace;
  const Precision precision = transformer_.precision();
  const MtpModule& module = *transformer_.mtp()[0];
  const int64_t hidden = x.dim(1), vocabulary = transformer_.head().vocab_size();
  while (true) {
    ArenaScope scope(workspace);
    const auto count = static_cast<int64_t>(runs.size());
    const Tensor stream = workspace.New(x.dtype(), Shape({count, hidden}));
    backend.GatherRows(context_, x, UploadIds(context_, workspace, last), stream);
    const Tensor h = workspace.New(precision.act, Shape({count, hidden}));
    backend.RmsNorm(context_, InType(context_, stream, precision.norm_input, workspace),
                    module.output_norm().value, transformer_.config().rms_norm_eps, h, Tensor());
    const Tensor logits = workspace.New(DType::kF32, Shape({count, vocabulary}));
    transformer_.head().Logits(context_, h, logits);
    const std::vector<float> host = Download(context_, logits);
    std::vector<Run> next;
    std::vector<int32_t> tokens, rows;
    std::vector<BatchSequence> batch;
    for (int64_t i = 0; i < count; ++i) {
      Run run = runs[static_cast<size_t>(i)];
      int32_t token;
      try {
        token =
            run.piece->sampler->Sample(std::span(host).subspan(static_cast<size_t>(i * vocabulary),
                                                               static_cast<size_t>(vocabulary)),
                                       run.position, run.Ahead());
      } catch (const Error&) {
        continue;  // no number to guess from: no guess
      }
      run.result->guesses.push_back(token);
      if (!run.WantsMore()) continue;
      batch.push_back({.begin = static_cast<int64_t>(tokens.size()),
                       .count = 1,
                       .first_position = run.position - 1,
                       .pages = run.piece->pages});
      ++run.position;
      next.push_back(run);
      tokens.push_back(token);
      rows.push_back(static_cast<int32_t>(i));
    }
    if (next.empty()) return;
    const Tensor previous =
        workspace.New(precision.act, Shape({static_cast<int64_t>(tokens.size()), hidden}));
    backend.GatherRows(context_, h, UploadIds(context_, workspace, rows), previous);
    const Tensor on = RunModule(tokens, batch, previous);
    runs = std::move(next);
    last.resize(runs.size());
    for (size_t i = 0; i < last.size(); ++i) last[i] = static_cast<int32_t>(i);
    // x is needed no more, and as large as what replaces it.
    x = x.Rows(0, on.dim(0));
    backend.Cast(context_, on, x);
  }
}

}  // namespace fathom
