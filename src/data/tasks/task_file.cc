#include "data/tasks/task_file.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/ascii.h"
#include "base/error.h"
#include "base/json.h"
#include "base/nearest.h"
#include "data/line_reader.h"

namespace fathom {
namespace {

constexpr std::array<std::pair<AnswerKind, std::string_view>, 5> kKinds = {
    {{AnswerKind::kMath, "math"},
     {AnswerKind::kText, "text"},
     {AnswerKind::kChoice, "choice"},
     {AnswerKind::kExpression, "expression"},
     {AnswerKind::kExternal, "external"}}};

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// Choices have letters.
constexpr size_t kMostChoices = 26;

// GSM8K's solutions carry what a calculator was asked: "48/2 = <<48/2=24>>24".
std::string WithoutCalculator(std::string_view text) {
  std::string out;
  while (true) {
    const size_t begin = text.find("<<");
    const size_t end = begin == std::string_view::npos ? begin : text.find(">>", begin);
    if (end == std::string_view::npos) return out.append(text);
    out.append(text.substr(0, begin));
    text.remove_prefix(end + 2);
  }
}

class RowReader {
 public:
  RowReader(const JsonValue& row, std::string where, TaskAnswers answers)
      : row_(row), where_(std::move(where)), answers_(answers) {}

  TaskProblem Read() {
    ReadQuestion();
    ReadKind();
    if (const auto solution = row_.Find("solution")) problem_.solution = solution->String();
    if (const auto response = row_.Find("response")) problem_.response = response->String();
    if (const auto numbers = row_.Find("numbers")) {
      for (const JsonValue& number : numbers->Array()) problem_.numbers.push_back(number.Int());
    }
    ReadAnswers();
    if (problem_.kind == AnswerKind::kChoice) {
      ReadChoices();
    } else if (problem_.kind == AnswerKind::kExpression && problem_.numbers.empty()) {
      Fail("has no key 'numbers'", "an answer of kind expression is made of numbers: give a list");
    }
    problem_.row = row_.Minified();
    return std::move(problem_);
  }

 private:
  [[noreturn]] void Fail(std::string_view what, std::string_view hint) const {
    throw Error(where_, what, hint);
  }

  void ReadQuestion() {
    if (const auto system = row_.Find("system")) {
      problem_.messages.push_back({"system", std::string(system->String())});
    }
    if (const auto messages = row_.Find("messages")) {
      for (const JsonValue& message : messages->Array()) {
        ChatMessage read{std::string(message.At("role").String()),
                         std::string(message.At("content").String())};
        if (const auto thoughts = message.Find("reasoning_content")) {
          read.reasoning = thoughts->String();
        }
        problem_.messages.push_back(std::move(read));
      }
      if (problem_.messages.empty() || problem_.messages.back().role == "assistant") {
        Fail("'messages' end with the model's own turn",
             "end them with the question, and put its answer under 'answer'");
      }
    } else {
      auto question = row_.Find("question");
      if (!question) question = row_.Find("problem");
      if (!question) question = row_.Find("prompt");
      if (!question) {
        Fail("has no key 'question'",
             "a row has its problem under question, problem, prompt or messages");
      }
      problem_.messages.push_back({"user", std::string(question->String())});
    }
    if (Trimmed(problem_.question()).empty()) Fail("the question is empty", "take the row out");
  }

  void ReadKind() {
    if (const auto kind = row_.Find("kind")) {
      const auto known = AnswerKindByName(kind->String());
      if (!known) {
        std::set<std::string, std::less<>> names;
        for (const auto& [value, name] : kKinds) names.emplace(name);
        Fail(fmt::format("there is no kind of answer '{}'", kind->String()),
             NearestHint(kind->String(), names, "math, text, choice, expression or external"));
      }
      problem_.kind = *known;
    } else if (row_.Find("choices")) {
      problem_.kind = AnswerKind::kChoice;
    }
  }

  std::string AnswerOf(const JsonValue& value) const {
    std::string minified;
    if (!value.IsString()) minified = value.Minified();
    const std::string text(Trimmed(value.IsString() ? value.String() : minified));
    if (text.empty()) Fail("the answer is empty", "take the row out");
    return text;
  }

  void ReadAnswers() {
    const auto answer = row_.Find("answer");
    if (!answer) {
      if (problem_.kind == AnswerKind::kExternal || answers_ == TaskAnswers::kOptional) return;
      Fail("has no key 'answer'",
           "a row has its answer there; only of kind external it needs none");
    }
    if (answer->IsArray()) {
      for (const JsonValue& value : answer->Array()) problem_.answers.push_back(AnswerOf(value));
      if (problem_.answers.empty()) Fail("'answer' is an empty list", "take the row out");
      return;
    }
    problem_.answers = {AnswerOf(*answer)};
    std::string& text = problem_.answers.front();
    const size_t mark = text.rfind("####");
    if (row_.Find("kind") || mark == std::string::npos) return;
    if (problem_.solution.empty()) {
      problem_.solution = Trimmed(WithoutCalculator(std::string_view(text).substr(0, mark)));
    }
    text = std::string(Trimmed(std::string_view(text).substr(mark + 4)));
    if (text.empty()) Fail("the answer is empty behind ####", "take the row out");
  }

  void ReadChoices() {
    const auto choices = row_.Find("choices");
    if (!choices) Fail("has no key 'choices'", "an answer of kind choice is one of a list");
    for (const JsonValue& choice : choices->Array()) {
      problem_.choices.emplace_back(choice.String());
    }
    const size_t count = problem_.choices.size();
    if (count < 2 || count > kMostChoices) {
      Fail(fmt::format("has {} choices", count), fmt::format("2 to {} can be", kMostChoices));
    }
    if (problem_.answers.empty()) return;
    if (problem_.answers.size() != 1) Fail("has several answers", "one of the choices is right");
    problem_.answers = {ChoiceLetter(ChoiceIndex())};
  }

  size_t ChoiceIndex() const {
    const std::string& answer = problem_.answers.front();
    const std::vector<std::string>& choices = problem_.choices;
    const JsonValue value = row_.At("answer");
    if (value.IsInt()) {
      const int64_t index = value.Int();
      if (index >= 0 && static_cast<size_t>(index) < choices.size()) {
        return static_cast<size_t>(index);
      }
    } else {
      const auto found = std::find_if(choices.begin(), choices.end(), [&](const std::string& text) {
        return Trimmed(text) == answer;
      });
      if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
      const auto index = static_cast<size_t>(answer[0] - 'A');
      if (answer.size() == 1 && index < choices.size()) return index;
    }
    Fail(fmt::format("the answer '{}' is none of the {} choices", answer, choices.size()),
         fmt::format("it can be one of A to {}, a number from 0 on, or a choice's text",
                     ChoiceLetter(choices.size() - 1)));
  }

  const JsonValue& row_;
  std::string where_;
  TaskAnswers answers_;
  TaskProblem problem_;
};

}  // namespace

std::string_view Name(AnswerKind kind) {
  for (const auto& [value, name] : kKinds) {
    if (value == kind) return name;
  }
  return "";
}

std::optional<AnswerKind> AnswerKindByName(std::string_view name) {
  for (const auto& [value, known] : kKinds) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string ChoiceLetter(size_t index) { return {static_cast<char>('A' + index)}; }

TaskProblem ReadTaskRow(const JsonValue& row, std::string_view where, std::string_view other_id,
                        TaskAnswers answers) {
  if (!row.IsObject()) throw Error(where, "is not a JSON object", "a row is one problem");
  TaskProblem problem = RowReader(row, std::string(where), answers).Read();
  const auto id = row.Find("id");
  problem.id = !id              ? std::string(other_id)
               : id->IsString() ? std::string(id->String())
                                : id->Minified();
  return problem;
}

std::vector<TaskProblem> ReadTaskFile(const std::filesystem::path& path, size_t limit,
                                      TaskAnswers answers) {
  std::vector<TaskProblem> problems;
  std::map<std::string, uint64_t> line_of_id;
  LineReader lines(path, path.extension() == ".zst");
  std::string_view line;
  while ((limit == 0 || problems.size() < limit) && lines.Next(line)) {
    const uint64_t number = lines.line_number();
    if (number == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    if (Trimmed(line).empty()) continue;
    const std::string where = fmt::format("{}:{}", path.string(), number);
    const JsonDocument document(line, where);
    TaskProblem problem = ReadTaskRow(document.root(), where, fmt::format("{}", number), answers);
    const auto [other, is_new] = line_of_id.emplace(problem.id, number);
    if (!is_new) {
      throw Error(where, fmt::format("has the id '{}' of line {}", problem.id, other->second),
                  "results are kept by id: give each row its own, or none");
    }
    problems.push_back(std::move(problem));
  }
  if (problems.empty())
    throw Error(path.string(), "holds no problem", "it wants one a line, as JSON");
  return problems;
}

}  // namespace fathom
