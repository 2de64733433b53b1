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
#include "train/load_picture.h"

namespace fathom {
namespace {

// Of the picture of expert loads: a page of V3's 15,000 would be megabytes.
constexpr size_t kMostCells = 4096;

struct Point {
  double x, y;
};

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
    } else if (kind == "sample") {
      history.samples.emplace_back(line.value("step", int64_t{0}), line.value("text", ""));
    }
  }
  history.tokens = tokens;
  return history;
}

// An exponential mean, started at the first value.
std::vector<Point> Smooth(const std::vector<Point>& points) {
  std::vector<Point> smooth;
  double mean = points.empty() ? 0 : points.front().y;
  for (const Point& point : points) {
    mean += 0.1 * (point.y - mean);
    smooth.push_back({point.x, mean});
  }
  return smooth;
}

// One coordinate system of the picture.
class Panel {
 public:
  Panel(double left, std::string_view title, double x_most, double y_least, double y_most)
      : left_(left),
        x_most_(std::max(x_most, 1.0)),
        y_least_(y_least),
        y_most_(std::max(y_most, y_least + 1e-9)) {
    svg_ += fmt::format("<text x='{}' y='24' class='title'>{}</text>\n", left_, title);
    const double step = NiceStep((y_most_ - y_least_) / 5);
    const auto last = static_cast<int64_t>(std::floor(y_most_ / step));
    for (auto i = static_cast<int64_t>(std::ceil(y_least_ / step)); i <= last; ++i) {
      const double y = static_cast<double>(i) * step;
      svg_ += fmt::format(
          "<line x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}' class='grid'/><text x='{}' y='{:.1f}' "
          "class='tick' text-anchor='end'>{:g}</text>\n",
          left_, left_ + kWidth, Y(y), Y(y), left_ - 6, Y(y) + 4, std::round(y * 1e6) / 1e6);
    }
    for (int i = 0; i <= 4; ++i) {
      const double x = x_most_ * i / 4;
      svg_ += fmt::format("<text x='{:.1f}' y='{}' class='tick' text-anchor='middle'>{}</text>\n",
                          X(x), kBottom + 18, FormatCount(x));
    }
  }

  void Line(const std::vector<Point>& points, std::string_view style) {
    svg_ += fmt::format("<polyline class='{}' points='", style);
    for (const Point& point : points) svg_ += fmt::format("{:.1f},{:.1f} ", X(point.x), Y(point.y));
    svg_ += "'/>\n";
  }
  void Dots(const std::vector<Point>& points) {
    for (const Point& point : points) {
      svg_ += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3' class='dot'/>\n", X(point.x),
                          Y(point.y));
    }
  }
  void Label(double x, double y, std::string_view text) {
    svg_ += fmt::format("<text x='{:.1f}' y='{:.1f}' class='label' text-anchor='end'>{}</text>\n",
                        X(x), Y(y) - 7, text);
  }
  const std::string& svg() const { return svg_; }

 private:
  static constexpr double kWidth = 360, kTop = 40, kBottom = 280;

  // 1, 2 or 5 times a power of ten.
  static double NiceStep(double step) {
    const double power = std::pow(10, std::floor(std::log10(step)));
    const double digit = step / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  }
  double X(double x) const { return left_ + kWidth * x / x_most_; }
  double Y(double y) const {
    const double inside = std::clamp((y - y_least_) / (y_most_ - y_least_), 0.0, 1.0);
    return kBottom - (kBottom - kTop) * inside;
  }

  double left_, x_most_, y_least_, y_most_;
  std::string svg_;
};

std::string Picture(const RunHistory& history) {
  const auto [least, most] =
      std::minmax_element(history.training.begin(), history.training.end(),
                          [](const Point& a, const Point& b) { return a.y < b.y; });
  std::string svg =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 860 320' font-family='sans-serif'>\n"
      "<style>.title{font-size:15px;font-weight:bold;fill:#223}.tick{font-size:11px;fill:#667}."
      "label{font-size:12px;"
      "fill:#223;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}.grid{"
      "stroke:#dde}.raw{fill:none;stroke:#9bc4e8}.line{fill:none;stroke:#1a6fb5;"
      "stroke-width:2}"
      ".dot{fill:#1a6fb5}.baseline{fill:none;stroke:#c2571a;stroke-width:2;stroke-dasharray:6 "
      "4}</style>\n"
      "<rect width='860' height='320' fill='#fff'/>\n";
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
