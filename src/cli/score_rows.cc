#include "cli/score_rows.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "cli/common.h"
#include "data/line_reader.h"
#include "posttrain/reward_model/reward_model.h"

namespace fathom {
namespace {

// The most tokens computed at a time, where the model's context is no shorter.
constexpr int64_t kBatchTokens = 8192;

// The texts of some rows, and what became of those rows before them.
class Pending {
 public:
  explicit Pending(RewardModel& model) : model_(model) {}

  void Add(const std::string& where, ScoredRow row) {
    for (std::vector<int32_t>& text : row.texts) {
      if (static_cast<int64_t>(text.size()) > model_.longest()) {
        throw Error(where, fmt::format("has {} tokens, and the model takes {}", text.size(),
                                       model_.longest()));
      }
      tokens_ += static_cast<int64_t>(text.size());
      texts_.push_back(std::move(text));
    }
    sizes_.push_back(row.texts.size());
    if (tokens_ >= kBatchTokens) Flush();
  }

  void Flush() {
    const std::vector<double> scores = model_.Score(texts_);
    size_t next = 0;
    for (const size_t size : sizes_) {
      if (size == 1) {
        WriteJson({{"score", scores[next]}});
      } else {
        WriteJson({{"chosen_score", scores[next]}, {"rejected_score", scores[next + 1]}});
      }
      next += size;
    }
    texts_.clear();
    sizes_.clear();
    tokens_ = 0;
  }

 private:
  RewardModel& model_;
  std::vector<std::vector<int32_t>> texts_;
  std::vector<size_t> sizes_;
  int64_t tokens_ = 0;
};

}  // namespace

void ScoreRows(Context& context, const std::filesystem::path& directory,
               std::optional<Precision> precision, const std::filesystem::path& rows, bool quiet) {
  RewardModel model(context, directory, precision, kBatchTokens, quiet);
  LineReader lines(rows, rows.extension() == ".zst");
  Progress progress("scoring", "bytes", static_cast<double>(std::filesystem::file_size(rows)),
                    quiet);
  Pending pending(model);
  for (std::string_view line; lines.Next(line);) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", rows.string(), lines.line_number());
    const JsonDocument document(line, where);
    const ScoreKind kind =
        document.root().Find("chosen") ? ScoreKind::kPairwise : ScoreKind::kPointwise;
    pending.Add(where, ReadScoredRow(document.root(), kind, model.encoder(), /*labelled=*/false));
    progress.Update(static_cast<double>(lines.position()));
  }
  progress.Clear();
  pending.Flush();
}

}  // namespace fathom
