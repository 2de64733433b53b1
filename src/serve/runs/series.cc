#include "serve/runs/series.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "serve/message/message.h"

namespace fathom {
namespace {

constexpr double kLargest = 3e38;

// [a, b, ...] of what is at [from, count).
template <typename At>
void AppendList(size_t from, size_t count, std::string& json, At at) {
  json += '[';
  for (size_t i = from; i < count; ++i) {
    if (i > from) json += ',';
    at(i);
  }
  json += ']';
}

}  // namespace

void AppendNumber(double value, std::string& json) {
  if (!std::isfinite(value)) {
    json += "null";
    return;
  }
  fmt::format_to(std::back_inserter(json), "{:.6g}", value);
}

void Series::Cell::Add(const Cell& other) {
  if (other.count == 0) return;
  low = count == 0 ? other.low : std::min(low, other.low);
  high = count == 0 ? other.high : std::max(high, other.high);
  sum += other.sum;
  count += other.count;
}

Series::Values* Series::Find(std::string_view name) {
  for (Values& values : values_) {
    if (values.name == name) return &values;
  }
  if (values_.size() >= kMostNames) return nullptr;
  return &values_.emplace_back(Values{.name = std::string(name)});
}

bool Series::Has(std::string_view name) const {
  return std::any_of(values_.begin(), values_.end(),
                     [&](const Values& values) { return values.name == name; });
}

void Series::Halve() {
  const size_t half = places_.size() / 2;
  for (size_t i = 0; i < half; ++i) places_[i] = places_[2 * i + 1];
  places_.resize(half);
  for (Values& values : values_) {
    values.cells.resize(2 * half);
    for (size_t i = 0; i < half; ++i) {
      Cell cell = values.cells[2 * i];
      cell.Add(values.cells[2 * i + 1]);
      values.cells[i] = cell;
    }
    values.cells.resize(half);
  }
  stride_ *= 2;
  in_last_ = stride_;
}

bool Series::Add(const Place& place, const NamedNumbers& numbers) {
  const bool opens = places_.empty() || in_last_ == stride_;
  const bool halves = opens && places_.size() == kMostBuckets;
  if (halves) Halve();
  if (opens) {
    places_.push_back(place);
    in_last_ = 0;
  }
  places_.back() = place;
  ++in_last_;
  for (const auto& [name, number] : numbers) {
    // What a float does not hold is as good as infinite.
    if (!(std::abs(number) <= kLargest)) continue;
    Values* values = Find(name);
    if (values == nullptr) continue;
    values->cells.resize(places_.size());
    const auto value = static_cast<float>(number);
    values->cells.back().Add({.sum = number, .low = value, .high = value, .count = 1});
  }
  return halves;
}

void Series::AppendJson(size_t from, std::string& json) const {
  const size_t count = places_.size();
  from = std::min(from, count);
  fmt::format_to(std::back_inserter(json), R"({{"stride":{},"from":{},"step":)", stride_, from);
  AppendList(from, count, json, [&](size_t i) {
    fmt::format_to(std::back_inserter(json), "{:.0f}", places_[i].step);
  });
  json += ",\"tokens\":";
  AppendList(from, count, json, [&](size_t i) {
    fmt::format_to(std::back_inserter(json), "{:.0f}", places_[i].tokens);
  });
  json += ",\"time\":";
  AppendList(from, count, json, [&](size_t i) {
    fmt::format_to(std::back_inserter(json), "{:.1f}", places_[i].time);
  });
  json += ",\"values\":{";
  for (const Values& values : values_) {
    if (&values != &values_.front()) json += ',';
    json += JsonText(values.name);
    const auto list = [&](auto of) {
      AppendList(from, count, json, [&](size_t i) {
        const Cell cell = i < values.cells.size() ? values.cells[i] : Cell();
        if (cell.count == 0) {
          json += "null";
        } else {
          AppendNumber(of(cell), json);
        }
      });
    };
    json += ":{\"mean\":";
    list([](const Cell& cell) { return cell.sum / cell.count; });
    if (stride_ > 1) {
      json += ",\"low\":";
      list([](const Cell& cell) { return cell.low; });
      json += ",\"high\":";
      list([](const Cell& cell) { return cell.high; });
    }
    json += '}';
  }
  json += "}}";
}

}  // namespace fathom
