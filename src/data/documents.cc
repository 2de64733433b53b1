#include "data/documents.h"

#include <fmt/ranges.h>
#include <simdjson.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/license_header.h"
#include "data/line_reader.h"
#include "text/utf8.h"

namespace fathom {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// JSON inside a line nests no deeper than this.
constexpr size_t kMaxJsonDepth = 256;

class Reader {
 public:
  Reader(const SourceSpec& spec, FunctionRef<void(const Document&, const ReadStatistics&)> visit)
      : spec_(spec), visit_(visit) {
    // Capacity grows with the lines; the depth is what has to be set.
    if (parser_.allocate(0, kMaxJsonDepth) != simdjson::SUCCESS) throw std::bad_alloc();
  }

  void Read(const SourceFile& file) {
    const uint64_t before = statistics_.file_bytes;
    if (file.kind == FileKind::kText) {
      ReadText(file);
    } else {
      ReadLines(file, before);
    }
    statistics_.file_bytes = before + file.size;
  }

  const ReadStatistics& statistics() const { return statistics_; }

 private:
  void Emit(std::string_view text, std::string_view name) {
    std::string stripped;
    if (spec_.strip_license_header) text = stripped = StripLicenseHeader(text);
    if (text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos) {
      ++statistics_.empty;
      return;
    }
    ++statistics_.documents;
    visit_({text, name}, statistics_);
  }

  void ReadText(const SourceFile& file) {
    const MappedFile mapped(file.path);
    std::string_view text = mapped.text();
    statistics_.file_bytes += text.size();
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    if (!IsValidUtf8(text) && statistics_.not_utf8++ == 0) statistics_.first_not_utf8 = file.name;
    if (spec_.document_separator.empty()) {
      Emit(text, file.name);
      return;
    }
    for (uint64_t piece = 0;; ++piece) {
      const size_t end = text.find(spec_.document_separator);
      Emit(text.substr(0, end), fmt::format("{}#{}", file.name, piece));
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + spec_.document_separator.size());
    }
  }

  void ReadLines(const SourceFile& file, uint64_t before) {
    LineReader lines(file.path, file.kind == FileKind::kCompressedJsonLines);
    std::string_view line;
    while (lines.Next(line)) {
      statistics_.file_bytes = before + lines.position();
      if (lines.line_number() == 1 && line.starts_with(kByteOrderMark))
        line.remove_prefix(kByteOrderMark.size());
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      std::string_view text;
      const Problem problem = ParseLine(line, text);
      if (problem.what.empty()) {
        Emit(text, fmt::format("{}:{}", file.name, lines.line_number()));
      } else if (spec_.skip_bad_lines) {
        ++statistics_.bad_lines;
      } else {
        throw Error(fmt::format("{}:{}", file.path.string(), lines.line_number()), problem.what,
                    problem.hint);
      }
    }
  }

  struct Problem {
    std::string what, hint;
  };

  // Sets `text`, or says what is wrong with the line.
  Problem ParseLine(std::string_view line, std::string_view& text) {
    constexpr const char* kCorrect =
        "correct the line, or take it out; skip_bad_lines = true of a [[data.source]] passes over "
        "it";
    simdjson::dom::element element;
    const auto code = parser_.parse(line.data(), line.size()).get(element);
    if (code != simdjson::SUCCESS) {
      return {fmt::format("is not valid JSON: {}", simdjson::error_message(code)), kCorrect};
    }
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS) return {"is not a JSON object", kCorrect};
    simdjson::dom::element value;
    if (object.at_key(spec_.text_field).get(value) != simdjson::SUCCESS) return NoText(object);
    if (value.get(text) != simdjson::SUCCESS) {
      return {fmt::format("key '{}' does not hold a string", spec_.text_field), kCorrect};
    }
    return {};
  }

  // The keys that hold text are what the user may have meant.
  Problem NoText(const simdjson::dom::object& object) const {
    constexpr size_t kMostKeys = 5, kLongestKey = 40;
    constexpr std::string_view kName =
        "text_field of a [[data.source]], or --text-field, names the key that holds the text";
    std::vector<std::string> keys;
    for (const auto& [key, value] : object) {
      const bool shows =
          key.size() <= kLongestKey && std::all_of(key.begin(), key.end(), [](char c) {
            return static_cast<unsigned char>(c) >= ' ' && c != 0x7F;
          });
      if (value.is_string() && shows && keys.size() < kMostKeys)
        keys.push_back(fmt::format("'{}'", key));
    }
    return {fmt::format("has no key '{}'", spec_.text_field),
            keys.empty() ? std::string(kName)
                         : fmt::format("{}: here {}", kName, fmt::join(keys, ", "))};
  }

  const SourceSpec& spec_;
  FunctionRef<void(const Document&, const ReadStatistics&)> visit_;
  simdjson::dom::parser parser_;
  ReadStatistics statistics_;
};

}  // namespace

ReadStatistics ForEachDocument(
    const SourceSpec& spec, const std::vector<SourceFile>& files,
    FunctionRef<void(const Document& document, const ReadStatistics& so_far)> visit) {
  Reader reader(spec, visit);
  for (const SourceFile& file : files) reader.Read(file);
  return reader.statistics();
}

bool IsHeldOut(std::string_view document_name, uint64_t seed, double fraction) {
  const double place = static_cast<double>(HashOf(document_name, seed) >> 11) * 0x1.0p-53;
  return place < fraction;
}

}  // namespace fathom
