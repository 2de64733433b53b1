#include "posttrain/r1/pipeline_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/html.h"
#include "base/log.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

const PipelineModel* FindModel(const PipelineTable& table, const std::string& name) {
  const auto found = std::find_if(table.models.begin(), table.models.end(),
                                  [&](const PipelineModel& model) { return model.name == name; });
  return found == table.models.end() ? nullptr : &*found;
}

std::string Points(const PairedDifference& gain) {
  const Estimated& d = gain.difference;
  return fmt::format("{:+.1f} points ({:+.1f} to {:+.1f})", 100 * d.value, 100 * d.low,
                     100 * d.high);
}

std::string Percent(const Estimated& x) {
  return fmt::format("{:5.1f} % ({:.1f} to {:.1f})", 100 * x.value, 100 * x.low, 100 * x.high);
}

// "500 problems, 4 samples to each": of the first model that was asked.
std::string Asked(const PipelineTable& table, size_t task) {
  for (const PipelineModel& model : table.models) {
    if (model.scores.empty()) continue;
    const EvaluationSummary& summary = model.scores[task];
    return fmt::format("{} held-out problems, {} answer{} to each; intervals are of 95 %",
                       summary.problems, summary.samples_each,
                       summary.samples_each == 1 ? "" : "s");
  }
  return "";
}

// Its accuracy as a bar with its interval, 200 wide.
std::string Bar(const Estimated& x) {
  return fmt::format(
      "<svg width='204' height='14' role='img' aria-label='{:.1f} percent'>"
      "<rect x='2' y='2' width='200' height='10' fill='#eceef3'/>"
      "<rect x='2' y='2' width='{:.1f}' height='10' fill='#1a6fb5'/>"
      "<line x1='{:.1f}' x2='{:.1f}' y1='7' y2='7' stroke='#c2410c' stroke-width='2'/></svg>",
      100 * x.value, 200 * x.value, 2 + 200 * x.low, 2 + 200 * x.high);
}

std::string StagesHtml(const PipelineConfig& config, const PipelineTable& table) {
  std::string html =
      "<h2>Stages</h2>\n<table>\n<tr><th>stage</th><th>what it does</th><th>begins with</th>"
      "<th>time</th></tr>\n";
  for (const PipelineProgress& stage : table.stages) {
    const PipelineStage& of = *config.Find(stage.name);
    const PipelineStage* from = config.MakerOf(of.begins_with());
    // Its own report is beside this one.
    const std::string name =
        stage.done ? fmt::format("<a href='{0}/report.html'>{0}</a>", EscapeHtml(stage.name))
                   : EscapeHtml(stage.name);
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", name,
                        EscapeHtml(stage.kind),
                        EscapeHtml(from != nullptr ? from->name : of.begins_with().string()),
                        stage.done ? FormatDuration(stage.seconds) : "not done");
  }
  return html + "</table>\n";
}

std::string TaskHtml(const PipelineTable& table, size_t task) {
  std::string html = fmt::format(
      "<h2>{}</h2>\n<p>{}</p>\n<table>\n<tr><th>model</th><th>by</th><th colspan='2'>right</th>"
      "<th>against the one it was trained from</th><th>tokens an answer</th><th>cut off</th></tr>"
      "\n",
      EscapeHtml(table.tasks[task]), EscapeHtml(Asked(table, task)));
  for (const PipelineModel& model : table.models) {
    if (model.scores.empty()) continue;
    const EvaluationSummary& score = model.scores[task];
    const auto gain = Gain(table, model, task);
    html += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td class='n'>{}</td><td class='n'>{}</td>"
        "<td class='n'>{:.1f}</td><td class='n'>{}</td></tr>\n",
        EscapeHtml(model.name), EscapeHtml(model.kind), Bar(score.accuracy),
        Percent(score.accuracy), gain ? Points(*gain) : "", score.mean_tokens, score.cut_off);
  }
  return html + "</table>\n";
}

}  // namespace

std::optional<PairedDifference> Gain(const PipelineTable& table, const PipelineModel& model,
                                     size_t task) {
  const PipelineModel* before = FindModel(table, model.begun_with);
  if (before == nullptr || before->scores.empty() || model.scores.empty()) return std::nullopt;
  return ComparePaired(model.scores[task].scores, before->scores[task].scores);
}

ordered_json ToJson(const PipelineTable& table) {
  ordered_json stages = ordered_json::array(), models = ordered_json::array();
  for (const PipelineProgress& stage : table.stages) {
    stages.push_back({{"name", stage.name},
                      {"kind", stage.kind},
                      {"done", stage.done},
                      {"seconds", stage.seconds}});
  }
  for (const PipelineModel& model : table.models) {
    ordered_json scores = ordered_json::array();
    for (size_t task = 0; task < model.scores.size(); ++task) {
      ordered_json score = {{"task", table.tasks[task]}};
      score.update(ToJson(model.scores[task]));
      if (const auto gain = Gain(table, model, task)) score["gain"] = ToJson(*gain);
      scores.push_back(std::move(score));
    }
    models.push_back({{"name", model.name},
                      {"kind", model.kind},
                      {"begun_with", model.begun_with},
                      {"model", model.model.string()},
                      {"scores", std::move(scores)}});
  }
  return {{"stages", std::move(stages)}, {"models", std::move(models)}};
}

std::string ToText(const PipelineTable& table) {
  size_t width = 0;
  for (const PipelineModel& model : table.models) width = std::max(width, model.name.size());
  std::string text;
  for (size_t task = 0; task < table.tasks.size(); ++task) {
    text += fmt::format("{}: {}\n", table.tasks[task], Asked(table, task));
    for (const PipelineModel& model : table.models) {
      if (model.scores.empty()) continue;
      const auto gain = Gain(table, model, task);
      std::string line = fmt::format("  {:<{}}  {:<7}  {:<24}", model.name, width, model.kind,
                                     Percent(model.scores[task].accuracy));
      if (gain) line += fmt::format("  {} over {}", Points(*gain), model.begun_with);
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
  }
  return text;
}

void WritePipelineReport(const std::filesystem::path& path, const PipelineConfig& config,
                         const PipelineTable& table) {
  const std::string title = EscapeHtml(config.output.filename().string());
  std::string html = fmt::format(
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{0}</title>\n"
      "<style>body{{font-family:sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;"
      "color:#223}}table{{border-collapse:collapse}}td,th{{padding:.25em 1.2em .25em 0;"
      "text-align:left}}.n{{text-align:right;font-variant-numeric:tabular-nums}}</style></head>"
      "<body>\n<h1>{0}</h1>\n",
      title);
  html += StagesHtml(config, table);
  for (size_t task = 0; task < table.tasks.size(); ++task) html += TaskHtml(table, task);
  WriteFileAtomically(path, html + "</body></html>\n");
}

}  // namespace fathom
