#include "posttrain/distill/distill_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/html.h"
#include "base/log.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

constexpr size_t kReasons = static_cast<size_t>(DropReason::kCount);

double Share(int64_t part, int64_t of) {
  return of == 0 ? 0 : static_cast<double>(part) / static_cast<double>(of);
}

std::string LevelName(const std::string& difficulty) {
  return difficulty.empty() ? "not given" : difficulty;
}

std::string Meaning(DropReason reason) {
  switch (reason) {
    case DropReason::kUnfinished:
      return "cut off, or not ended by itself";
    case DropReason::kFormat:
      return "no content, no thoughts where they are wanted, or marks of thoughts inside";
    case DropReason::kWrong:
      return "another answer than the right one";
    case DropReason::kLanguage:
      return "too many words in other scripts";
    case DropReason::kRepetition:
      return "too much of it came before in it";
    case DropReason::kShort:
      return "fewer tokens than filter.least_tokens";
    case DropReason::kLong:
      return "more tokens than filter.most_tokens";
    case DropReason::kContaminated:
      return "shares words with an evaluation question";
    case DropReason::kDuplicate:
      return "nearly the same is kept already";
    case DropReason::kSurplus:
      return "filter.per_question others are kept";
    case DropReason::kCount:
      break;
  }
  return "";
}

std::string Cell(std::string_view text) { return fmt::format("<td>{}</td>", EscapeHtml(text)); }
std::string Cell(int64_t count) { return fmt::format("<td class='n'>{}</td>", count); }
std::string ShareCell(double share) {
  return fmt::format(
      "<td class='n'>{:.1f} %</td><td><div class='bar' style='width:{:.1f}px'></div></td>",
      100 * share, 200 * share);
}

}  // namespace

ordered_json ToJson(const FilterCounts& counts) {
  ordered_json dropped = ordered_json::object();
  for (size_t i = 0; i < kReasons; ++i)
    dropped[std::string(Name(static_cast<DropReason>(i)))] = counts.dropped[i];
  ordered_json levels = ordered_json::array();
  for (const auto& [difficulty, level] : counts.by_difficulty) {
    levels.push_back({{"difficulty", difficulty},
                      {"questions", level.questions},
                      {"kept_questions", level.kept_questions},
                      {"traces", level.traces},
                      {"kept", level.kept}});
  }
  return {{"questions", counts.questions},
          {"kept_questions", counts.kept_questions},
          {"contaminated_questions", counts.contaminated_questions},
          {"traces", counts.traces},
          {"judged", counts.judged},
          {"right", counts.right},
          {"kept", counts.kept},
          {"kept_tokens", counts.kept_tokens},
          {"dropped", std::move(dropped)},
          {"by_difficulty", std::move(levels)}};
}

std::string ToText(const FilterCounts& counts) {
  std::string text = fmt::format(
      "{} of {} traces are kept ({:.1f} %), of {} of {} questions; {} tokens\n", counts.kept,
      counts.traces, 100 * Share(counts.kept, counts.traces), counts.kept_questions,
      counts.questions, FormatCount(static_cast<double>(counts.kept_tokens)));
  if (counts.judged > 0) {
    text += fmt::format("  {:.1f} % of {} judged ones are right\n",
                        100 * Share(counts.right, counts.judged), counts.judged);
  }
  for (size_t i = 0; i < kReasons; ++i) {
    if (counts.dropped[i] == 0) continue;
    const auto reason = static_cast<DropReason>(i);
    text += fmt::format("  {:>8} {:<13} {}\n", counts.dropped[i], Name(reason), Meaning(reason));
  }
  return text;
}

void WriteDistillReport(const std::filesystem::path& path, const DistillConfig& config,
                        const FilterCounts& counts) {
  const std::string title =
      EscapeHtml(std::filesystem::absolute(config.output).filename().string());
  std::string html = fmt::format(
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{0}</title>\n"
      "<style>body{{font-family:sans-serif;max-width:880px;margin:2em auto;padding:0 1em;"
      "color:#223}}pre{{background:#f4f5f8;padding:1em;overflow:auto}}table{{border-collapse:"
      "collapse}}td,th{{padding:.2em 1.2em .2em 0;text-align:left}}.n{{text-align:right}}"
      ".bar{{background:#1a6fb5;height:.8em}}</style></head><body>\n<h1>{0}</h1>\n"
      "<p>Teacher: {1}{2}. {3}</p>\n",
      title, EscapeHtml(config.teacher.model),
      config.teacher.is_endpoint() ? EscapeHtml(" at " + config.teacher.url) : "",
      EscapeHtml(config.teacher.licence));
  html += fmt::format(
      "<p>{}</p>\n",
      EscapeHtml(fmt::format(
          "{} of {} traces are kept, of {} of {} questions. {} of {} judged answers are right. {} "
          "questions share words with the evaluation files.",
          counts.kept, counts.traces, counts.kept_questions, counts.questions, counts.right,
          counts.judged, counts.contaminated_questions)));
  html += "<h3>Dropped</h3>\n<table>\n";
  for (size_t i = 0; i < kReasons; ++i) {
    const auto reason = static_cast<DropReason>(i);
    html += fmt::format("<tr>{}{}{}{}</tr>\n", Cell(Name(reason)), Cell(counts.dropped[i]),
                        ShareCell(Share(counts.dropped[i], counts.traces)), Cell(Meaning(reason)));
  }
  html +=
      "</table>\n<h3>Kept, by difficulty</h3>\n<table>\n<tr><th>difficulty</th><th>questions</th>"
      "<th>with a trace</th><th>traces</th><th>kept</th></tr>\n";
  for (const auto& [difficulty, level] : counts.by_difficulty) {
    html += fmt::format("<tr>{}{}{}{}{}{}</tr>\n", Cell(LevelName(difficulty)),
                        Cell(level.questions), Cell(level.kept_questions), Cell(level.traces),
                        Cell(level.kept), ShareCell(Share(level.kept, level.traces)));
  }
  html += fmt::format("</table>\n<h3>Configuration</h3>\n<pre>{}</pre>\n</body></html>\n",
                      EscapeHtml(config.ToToml()));
  WriteFileAtomically(path, html);
}

}  // namespace fathom
