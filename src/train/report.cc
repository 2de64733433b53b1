#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/html.h"
#include "base/log.h"
#include "train/held_out_view.h"
#include "train/load_picture.h"
#include "train/report_panel.h"

namespace fathom {
namespace {

// Of the picture of expert loads: a page of V3's 15,000 would be megabytes.
constexpr size_t kMostCells = 4096;

// What the log says, ready to be drawn.
struct RunHistory {
  std::vector<Point> training;  // tokens, what the curve of training shows
  std::vector<Point> held_out;  // tokens, score
  // What the curves show: of pre-training, of tuning, of reinforcement learning.
  std::string_view training_title = "training loss (nats a token), over tokens";
  std::string_view held_out_title, score_name;
  double baseline = 0;  // bits per byte
  double score = 0;     // at the end
  double seconds = 0;
  double tokens = 0;
  std::vector<std::pair<int64_t, std::string>> samples;  // step, text
  // Over steps: what is optimised, and what is wanted; of reinforcement learning with reward
  // models.
  std::vector<Point> proxy, gold;
  std::vector<std::string> warnings;
  // The newest, and its step; empty: none was logged.
  nlohmann::json expert_load, expert_layers;
  int64_t load_step = 0;
};

RunHistory ReadHistory(const std::filesystem::path& path) {
  RunHistory history;
  const std::string text = ReadFile(path);
  double tokens = 0;
  struct Score {
    const char* key;
    std::string_view title, name;
  };
  constexpr Score kScores[] = {
      {"bits_per_byte", "held-out text (bits per byte), over tokens", "held-out bits per byte"},
      {"pair_accuracy", "held-out pairs (share right), over tokens", "held-out pairs, share right"},
      {"label_accuracy", "held-out labels (share right), over tokens",
       "held-out labels, share right"},
      {"accuracy", "held-out problems (share right), over tokens",
       "held-out problems, share right"},
      {"loss", "held-out answers (nats a token), over tokens", "held-out answers, nats a token"}};
  const auto score = [&](const nlohmann::json& line) {
    for (const Score& of : kScores) {
      if (!line.contains(of.key)) continue;
      history.held_out_title = of.title;
      history.score_name = of.name;
      return line.value(of.key, 0.0);
    }
    return 0.0;
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto line =
        nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                              text.begin() + static_cast<std::ptrdiff_t>(end), nullptr,
                              /*allow_exceptions=*/false);
    begin = end + 1;
    if (!line.is_object()) continue;
    const std::string kind = line.value("kind", "");
    if (kind == "step") {
      tokens = line.value("tokens", tokens);
      const bool rewarded = line.contains("reward");
      if (rewarded) history.training_title = "mean reward, over tokens";
      if (line.contains("examples")) history.training_title = "training loss (nats), over tokens";
      if (line.contains("proxy") && line.contains("gold")) {
        const double step = line.value("step", 0.0);
        history.proxy.push_back({step, line.value("proxy", 0.0)});
        history.gold.push_back({step, line.value("gold", 0.0)});
      }
      history.training.push_back({tokens, line.value(rewarded ? "reward" : "loss", 0.0)});
      if (line.contains("expert_load")) {
        history.expert_load = line["expert_load"];
        history.load_step = line.value("step", int64_t{0});
      }
    } else if (kind == "start") {
      history.expert_layers = line.value("expert_layers", nlohmann::json());
    } else if (kind == "validation") {
      history.held_out.push_back({tokens, score(line)});
    } else if (kind == "result") {
      history.score = score(line);
      history.baseline = line.value("baseline_bits_per_byte", 0.0);
      history.seconds = line.value("seconds", 0.0);
      // The best weights are not the last ones; the curve has them already.
      if (history.score > 0 && !line.contains("best_step"))
        history.held_out.push_back({tokens, history.score});
    } else if (kind == "warning") {
      history.warnings.push_back(line.value("text", ""));
    } else if (kind == "sample") {
      history.samples.emplace_back(line.value("step", int64_t{0}), line.value("text", ""));
    }
  }
  history.tokens = tokens;
  return history;
}

std::string Picture(const RunHistory& history) {
  const auto [least, most] =
      std::minmax_element(history.training.begin(), history.training.end(),
                          [](const Point& a, const Point& b) { return a.y < b.y; });
  std::string svg(kPictureBegin);
  if (!history.training.empty()) {
    Panel loss(50, history.training_title, history.tokens, std::floor(least->y),
               std::ceil(most->y));
    loss.Line(history.training, "raw");
    loss.Line(Smooth(history.training), "line");
    svg += loss.svg();
  }
  if (!history.held_out.empty()) {
    double top = history.baseline,
           bottom = history.baseline > 0 ? history.baseline : history.held_out[0].y;
    for (const Point& point : history.held_out) {
      top = std::max(top, point.y);
      bottom = std::min(bottom, point.y);
    }
    const double margin = 0.1 * (top - bottom) + 0.01;
    Panel held_out(480, history.held_out_title, history.tokens, bottom - margin, top + margin);
    if (history.baseline > 0) {
      held_out.Line({{0, history.baseline}, {history.tokens, history.baseline}}, "baseline");
      held_out.Label(history.tokens, history.baseline,
                     fmt::format("order-4 byte model {:.3f}", history.baseline));
    }
    held_out.Line(history.held_out, "line");
    held_out.Dots(history.held_out);
    if (history.score > 0) {
      held_out.Label(history.tokens, history.score,
                     fmt::format("this model {:.3f}", history.score));
    }
    svg += held_out.svg();
  }
  return svg + "</svg>\n";
}

// One over the other would say which is larger, which means nothing.
std::string HackingPicture(const RunHistory& history) {
  std::string svg(kPictureBegin);
  const double steps = history.proxy.back().x;
  const auto add = [&](double left, std::string_view title, const std::vector<Point>& points) {
    const auto [least, most] = std::minmax_element(
        points.begin(), points.end(), [](const Point& a, const Point& b) { return a.y < b.y; });
    const double margin = 0.1 * (most->y - least->y) + 0.01;
    Panel panel(left, title, steps, least->y - margin, most->y + margin);
    panel.Line(points, "raw");
    panel.Line(Smooth(points), "line");
    svg += panel.svg();
  };
  add(50, "proxy: the reward without gold, over steps", history.proxy);
  add(480, "gold score, over steps", history.gold);
  return svg + "</svg>\n";
}

}  // namespace

void WriteReport(const std::filesystem::path& output) {
  const RunHistory history = ReadHistory(output / "log.jsonl");
  const std::string picture = Picture(history);
  WriteFileAtomically(output / "loss.svg", picture);

  std::string html = fmt::format(
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{0}</title>\n"
      "<style>body{{font-family:sans-serif;max-width:880px;margin:2em auto;padding:0 "
      "1em;color:#223}}"
      "pre{{background:#f4f5f8;padding:1em;overflow:auto}}.sample{{white-space:pre-wrap;"
      "overflow-wrap:anywhere}}.charts{{overflow-x:auto}}.charts "
      "svg{{min-width:720px}}table{{border-collapse:collapse}}"
      "td{{padding:.2em 1.5em .2em 0}}</style></head><body>\n<h1>{0}</h1>\n"
      "<div class='charts'>\n{1}</div>\n",
      EscapeHtml(std::filesystem::absolute(output).filename().string()), picture);
  html += fmt::format(
      "<table><tr><td>tokens seen</td><td>{}</td></tr><tr><td>time training</td><td>{}</td></tr>\n",
      FormatCount(history.tokens), FormatDuration(history.seconds));
  if (history.score > 0) {
    html += fmt::format("<tr><td>{}</td><td>{:.4f}</td></tr>\n", history.score_name, history.score);
  }
  if (history.baseline > 0) {
    html += fmt::format("<tr><td>order-4 byte model</td><td>{:.4f}</td></tr>\n", history.baseline);
  }
  html += "</table>\n";
  for (const std::string& warning : history.warnings)
    html += fmt::format("<p><b>Warning:</b> {}</p>\n", EscapeHtml(warning));
  if (!history.proxy.empty()) {
    html += fmt::format(
        "<h3>Gold score against proxy</h3>\n<p>A reward model that is optimised too far keeps "
        "rising while the gold score falls.</p>\n<div class='charts'>\n{}</div>\n",
        HackingPicture(history));
  }
  html += HeldOutView(output / "held-out.jsonl");
  if (!history.expert_load.empty() &&
      history.expert_load.size() * history.expert_load[0].size() <= kMostCells) {
    html += fmt::format(
        "<h3>Experts at step {}</h3>\n<p>Every expert's tokens over the mean of its layer: blue is "
        "less, white is the mean, orange is more, up to four times it.</p>\n<div "
        "class='charts'>\n{}</div>\n",
        history.load_step, LoadPicture(history.expert_load, history.expert_layers));
  }
  for (const auto& [step, text] : history.samples) {
    html += fmt::format("<h3>Step {} writes</h3>\n<pre class='sample'>{}</pre>\n", step,
                        EscapeHtml(text));
  }
  html += fmt::format("<h3>Configuration</h3>\n<pre>{}</pre>\n</body></html>\n",
                      EscapeHtml(ReadFile(output / "config.toml")));
  WriteFileAtomically(output / "report.html", html);
}

}  // namespace fathom
