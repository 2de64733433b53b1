#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan/sourced_value.h"
#include "plan/uncertainty.h"
#include "plan/units.h"

namespace fathom {

// Where a number of a report is from.
enum class Origin : uint8_t {
  kInput,       // given: a configuration, a data file, an option
  kPrediction,  // what a model of docs/economics.md makes of inputs
  kIdentity,    // arithmetic over published numbers
};

struct ReportRow {
  std::string key;    // in JSON and CSV
  std::string label;  // for people
  double value = 0;
  std::string unit;   // of value: "s", "B", "FLOP", "USD", "token/s", "W", "1" or a count's name
  std::string shown;  // value for people
  Origin origin = Origin::kPrediction;
  std::string note;  // source, formula or published value; may be empty
};

struct ReportSection {
  std::string name;
  std::vector<ReportRow> rows;

  void Add(std::string key, std::string label, Bytes value, Origin origin, std::string note = {});
  void Add(std::string key, std::string label, Seconds value, Origin origin, std::string note = {});
  void Add(std::string key, std::string label, Dollars value, Origin origin, std::string note = {});
  void Add(std::string key, std::string label, TokensPerSecond value, Origin origin,
           std::string note = {});
  void Add(std::string key, std::string label, FlopsPerSecond value, Origin origin,
           std::string note = {});
  // A number without dimension, with at most `decimals` digits after the point.
  void AddNumber(std::string key, std::string label, double value, int decimals, Origin origin,
                 std::string note = {}, std::string unit = "1");
  void AddText(std::string key, std::string label, std::string text);
};

// What every `fathom plan` command prints.
struct Report {
  std::string command, title;
  std::vector<ReportSection> sections;

  // Sections with aligned columns.
  std::string ToTable() const;
  // {"format": "fathom-plan", "version": 1, "command": ..., "sections": {name: {key: {"value",
  // "unit", "origin", "note"}}}} (docs/economics.md).
  std::string ToJson() const;
  // section,key,value,unit,origin,note with a heading line (RFC 4180).
  std::string ToCsv() const;
};

// A row for each input that moves an output in dollars: by how much, a bar, and from where to
// where.
void AddTornado(const Uncertainty& range, std::span<const SourcedValue> inputs,
                const std::function<std::string(size_t)>& label, ReportSection& section);

// "SOURCE, DATE", for notes.
std::string Cite(const SourcedValue& value);
// "published X, error +Y %", for notes.
std::string Against(std::string_view published, double error);

}  // namespace fathom
