#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom {

struct Point {
  double x, y;
};

// An exponential mean of the last ten or so, begun as a plain mean; of fewer where there are not
// many.
std::vector<Point> Smooth(const std::vector<Point>& points);

// What a picture of two panels begins with: its size, and the styles that panels use. It ends with
// "</svg>".
extern const std::string_view kPictureBegin;

// One coordinate system of the picture.
class Panel {
 public:
  // left: 50 or 480.
  Panel(double left, std::string_view title, double x_most, double y_least, double y_most);

  void Line(const std::vector<Point>& points, std::string_view style);
  void Dots(const std::vector<Point>& points);
  void Label(double x, double y, std::string_view text);
  const std::string& svg() const { return svg_; }

 private:
  double X(double x) const;
  double Y(double y) const;

  double left_, x_most_, y_least_, y_most_;
  std::string svg_;
};

}  // namespace fathom
