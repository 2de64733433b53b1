#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/sourced_value.h"
#include "plan/units.h"

namespace fathom {

// Where a number of a report is from.
enum class Origin : uint8_t {
  kInput,       // given: a configuration, a data file, an option
  kPrediction,  // what a model of docs/economics.md makes of inputs
  kIdentity,    // arithmetic over published numbers
};

std::string_view Name(Origin origin);  // "input", "prediction", "identity"

// What 90 % of samples over the ranges of the inputs lie between.
struct Interval {
  double low = 0, high = 0;
};

struct ReportRow {
  std::string key;    // in JSON and CSV
  std::string label;  // for people
  double value = 0;
  std::string unit;   // of value: "s", "B", "FLOP", "USD", "token/s", "W", "1" or a count's name
  std::string shown;  // value for people
  Origin origin = Origin::kPrediction;
  std::string note;  // source, formula or published value; may be empty
  std::optional<Interval> interval = {};
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

// Numbers in rows and columns: a sweep, a curve over time. The first column is what is varied.
struct ReportTable {
  struct Column {
    std::string key, label, unit;  // unit as in ReportRow, of every number of the column
  };
  std::string name;
  std::vector<Column> columns;
  std::vector<std::vector<double>> rows;  // NaN where there is no number (what does not fit)
  std::string note;
  std::vector<std::string> labels = {};   // of the rows, where they have names
  std::vector<std::string> sources = {};  // of the rows, where they have any
  Origin origin = Origin::kPrediction;
};

// What moves one output when one input goes over its range and the others stay likely.
struct ReportTornado {
  struct Bar {
    std::string input;
    double input_low = 0, input_high = 0;
    double at_low = 0, at_high = 0;  // of the output; NaN where the plan does not work
  };
  std::string section, key, label, unit;  // of the output's row
  double likely = 0;
  std::vector<Bar> bars;  // widest first, without inputs that do nothing
  bool headline = false;  // what the report is made for: shown without being asked
};

// A row that the report is made for.
struct Headline {
  std::string section, key;
};

// What every `fathom plan` command prints.
struct Report {
  std::string command, title;
  std::vector<ReportSection> sections;
  std::vector<ReportTable> tables = {};
  std::vector<ReportTornado> tornados = {};  // headlines first; of every prediction that has any
  std::vector<Headline> answers = {};        // what was asked, in short: shown before all else

  // Null when there is no such row.
  const ReportRow* Find(std::string_view section, std::string_view key) const;

  // The answers, then sections with aligned columns, lines of at most `width` characters where that
  // can be; 0: not wrapped. Drivers are those of the headlines, and of the rows whose key is
  // `drivers` ("all": of every row). Throws UsageError with the nearest key when no row that has
  // drivers is named so.
  std::string ToTable(size_t width = 0, std::string_view drivers = {}) const;
  // {"format": "fathom-plan", "version": 1, "command": ..., "sections": {name: {key: {"value",
  // "unit", "origin", "note", "low", "high"}}}, "answers": [...], "tables": [...], "tornados":
  // [...]} (docs/economics.md).
  std::string ToJson() const;
  // section,key,value,unit,origin,note,low,high with a heading line (RFC 4180); tables and tornados
  // follow as rows of the same form.
  std::string ToCsv() const;
};

// A number of a row for people, by its unit.
std::string FormatUnit(double value, std::string_view unit);
// The same for a column of a table, whose heading says what a count is of.
std::string FormatCell(double value, std::string_view unit);
// "15.2 to 20.1 s": both ends, with their unit once where it is the same.
std::string FormatRange(const Interval& interval, std::string_view unit);
// A number of an input's range, whose unit is not known: short from ten thousand on.
std::string InputText(double value);
// "SOURCE, DATE", for notes.
std::string Cite(const SourcedValue& value);

}  // namespace fathom
