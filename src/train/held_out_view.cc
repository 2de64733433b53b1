#include "train/held_out_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.h"
#include "base/html.h"

namespace fathom {
namespace {

constexpr size_t kMostWrong = 40, kMostRight = 10;
// Of a text, in bytes.
constexpr size_t kShown = 4000;

std::string Shown(const nlohmann::json& line, const char* key) {
  std::string text = line.value(key, "");
  if (text.size() > kShown) {
    size_t end = kShown;
    // Not inside of a character.
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end) + " ...";
  }
  return EscapeHtml(text);
}

std::string Example(const nlohmann::json& line) {
  const auto text = [&](const char* title, const char* key) {
    return fmt::format("<p>{}</p>\n<pre class='sample'>{}</pre>\n", title, Shown(line, key));
  };
  if (!line.contains("chosen")) {
    return fmt::format(
        "<details><summary>label {}, scored {:.3f} (probability {:.3f})</summary>\n{}"
        "</details>\n",
        line.value("label", 0), line.value("score", 0.0), line.value("probability", 0.0),
        text("Text", "text"));
  }
  const double chosen = line.value("chosen_score", 0.0),
               rejected = line.value("rejected_score", 0.0);
  return fmt::format(
      "<details><summary>{:+.3f}: chosen {:.3f}, rejected {:.3f}</summary>\n{}{}{}</details>\n",
      chosen - rejected, chosen, rejected, text("Prompt", "prompt"), text("Chosen", "chosen"),
      text("Rejected", "rejected"));
}

}  // namespace

std::string HeldOutView(const std::filesystem::path& examples) {
  if (!std::filesystem::exists(examples)) return {};
  const std::string text = ReadFile(examples);
  std::vector<nlohmann::json> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    auto line = nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                      text.begin() + static_cast<std::ptrdiff_t>(end), nullptr,
                                      /*allow_exceptions=*/false);
    begin = end + 1;
    if (line.is_object()) lines.push_back(std::move(line));
  }
  std::string html = fmt::format("<h3>Held-out examples, most wrong first ({} in {})</h3>\n",
                                 lines.size(), EscapeHtml(examples.filename().string()));
  const size_t first = std::min(lines.size(), kMostWrong);
  for (size_t i = 0; i < first; ++i) html += Example(lines[i]);
  const size_t last = std::max(first, lines.size() - std::min(lines.size(), kMostRight));
  if (last < lines.size()) html += "<p>and the most right ones:</p>\n";
  for (size_t i = last; i < lines.size(); ++i) html += Example(lines[i]);
  return html;
}

}  // namespace fathom
