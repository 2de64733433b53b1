#include "train/report_panel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/log.h"

namespace fathom {
namespace {

constexpr double kWidth = 360, kTop = 40, kBottom = 280;

// 1, 2 or 5 times a power of ten.
double NiceStep(double step) {
  const double power = std::pow(10, std::floor(std::log10(step)));
  const double digit = step / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}
}  // namespace

std::vector<Point> Smooth(const std::vector<Point>& points) {
  std::vector<Point> smooth;
  const double least = std::max(0.1, 10 / static_cast<double>(std::max<size_t>(10, points.size())));
  double mean = 0;
  for (const Point& point : points) {
    // At first the plain mean of what there is.
    mean += std::max(least, 1 / static_cast<double>(smooth.size() + 1)) * (point.y - mean);
    smooth.push_back({point.x, mean});
  }
  return smooth;
}

const std::string_view kPictureBegin =
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 860 320' font-family='sans-serif'>\n"
    "<style>.title{font-size:15px;font-weight:bold;fill:#223}.tick{font-size:11px;fill:#667}."
    "label{font-size:12px;"
    "fill:#223;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}.grid{"
    "stroke:#dde}.raw{fill:none;stroke:#9bc4e8}.line{fill:none;stroke:#1a6fb5;"
    "stroke-width:2}"
    ".dot{fill:#1a6fb5}.baseline{fill:none;stroke:#c2571a;stroke-width:2;stroke-dasharray:6 "
    "4}</style>\n"
    "<rect width='860' height='320' fill='#fff'/>\n";

Panel::Panel(double left, std::string_view title, double x_most, double y_least, double y_most)
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

void Panel::Line(const std::vector<Point>& points, std::string_view style) {
  svg_ += fmt::format("<polyline class='{}' points='", style);
  for (const Point& point : points) svg_ += fmt::format("{:.1f},{:.1f} ", X(point.x), Y(point.y));
  svg_ += "'/>\n";
}
void Panel::Dots(const std::vector<Point>& points) {
  for (const Point& point : points) {
    svg_ += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3' class='dot'/>\n", X(point.x),
                        Y(point.y));
  }
}
void Panel::Label(double x, double y, std::string_view text) {
  svg_ += fmt::format("<text x='{:.1f}' y='{:.1f}' class='label' text-anchor='end'>{}</text>\n",
                      X(x), Y(y) - 7, text);
}
double Panel::X(double x) const { return left_ + kWidth * x / x_most_; }
double Panel::Y(double y) const {
  const double inside = std::clamp((y - y_least_) / (y_most_ - y_least_), 0.0, 1.0);
  return kBottom - (kBottom - kTop) * inside;
}

}  // namespace fathom
