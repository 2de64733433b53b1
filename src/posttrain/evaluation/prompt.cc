#include "posttrain/evaluation/prompt.h"

#include <string_view>
#include <utility>

#include "base/error.h"
#include "text/chat/prompt.h"

namespace fathom {
namespace {

// An example's answer as its text says it: a letter for choices, else what is right.
const std::string& AnswerOf(const TaskProblem& problem) {
  if (!problem.response.empty()) return problem.response;
  if (problem.answers.empty()) {
    throw Error(fmt::format("example {}", problem.id), "has no answer to show",
                "examples are problems with an answer");
  }
  return problem.answers.front();
}

// With its choices, and the instruction behind it.
std::string Question(const TaskProblem& problem, const std::string& instruction) {
  std::string question = problem.question();
  for (size_t i = 0; i < problem.choices.size(); ++i) {
    question += fmt::format("\n{}. {}", ChoiceLetter(i), problem.choices[i]);
  }
  if (!instruction.empty()) question += "\n" + instruction;
  return question;
}

}  // namespace

std::vector<ChatMessage> AskedMessages(const TaskProblem& problem,
                                       const EvaluationPromptOptions& options) {
  std::vector<ChatMessage> messages;
  if (!options.system.empty() && problem.messages.front().role != "system") {
    messages.push_back({"system", options.system});
  } else if (problem.messages.front().role == "system") {
    messages.push_back(problem.messages.front());
  }
  for (const TaskProblem& example : options.examples) {
    messages.push_back({"user", Question(example, options.instruction)});
    messages.push_back(
        {"assistant", fmt::format("{}{}\\boxed{{{}}}", example.solution,
                                  example.solution.empty() ? "" : "\n", AnswerOf(example))});
  }
  for (const ChatMessage& message : problem.messages) {
    if (message.role != "system" || &message != &problem.messages.front()) {
      messages.push_back(message);
    }
  }
  messages.back().content = Question(problem, options.instruction);
  return messages;
}

EvaluationPrompts::EvaluationPrompts(const LoadedModel& model, EvaluationPromptOptions options)
    : model_(model), options_(std::move(options)), stop_ids_(model.defaults().stop_ids) {
  const Tokenizer& tokenizer = model.RequireTokenizer();
  if (options_.plain) {
    if (options_.think) throw UsageError("--think", "is for chat templates, and not for --plain");
    if (!options_.system.empty()) {
      throw UsageError("--system", "is for chat templates, and not for --plain",
                       "--instruction stands behind every question");
    }
    stop_texts_ = {"\nProblem:", "\n\nProblem:"};
    return;
  }
  template_.emplace(ChatTemplate::Load(
      [&](std::string_view name) { return model.mapped().source().SideFile(name); },
      model.directory().string(), &tokenizer));
  for (const int32_t id : template_->StopIds(tokenizer)) stop_ids_.push_back(id);
}

std::string EvaluationPrompts::PlainText(const TaskProblem& problem) const {
  std::string text;
  for (const TaskProblem& example : options_.examples) {
    text += fmt::format("Problem: {}\nSolution:\n{}{}Answer: {}\n\n",
                        Question(example, options_.instruction), example.solution,
                        example.solution.empty() ? "" : "\n", AnswerOf(example));
  }
  return text + fmt::format("Problem: {}\nSolution:\n", Question(problem, options_.instruction));
}

std::string EvaluationPrompts::ChoiceContext(const TaskProblem& problem) const {
  std::string text;
  for (const TaskProblem& example : options_.examples) {
    const bool letters = !problem.choices.empty();
    TaskProblem shown = example;
    std::string answer = AnswerOf(example);
    if (!letters && example.kind == AnswerKind::kChoice) {
      answer = example.choices[static_cast<size_t>(answer[0] - 'A')];
      shown.choices.clear();
    }
    text +=
        fmt::format("Question: {}\nAnswer: {}\n\n", Question(shown, options_.instruction), answer);
  }
  return text + fmt::format("Question: {}\nAnswer:", Question(problem, options_.instruction));
}

EvaluationPrompt EvaluationPrompts::Make(const TaskProblem& problem) const {
  if (options_.plain) return {EncodePlainText(model_, PlainText(problem)), false};
  const jinja::Text text = template_->Render(ChatMessagesToData(AskedMessages(problem, options_)),
                                             {.think = options_.think});
  return {EncodePrompt(model_.RequireTokenizer(), text), EndsInsideThinking(text)};
}

std::vector<int32_t> EncodePlainText(const LoadedModel& model, const std::string& text) {
  std::vector<int32_t> ids;
  if (model.defaults().add_bos && model.defaults().bos_id >= 0) {
    ids.push_back(model.defaults().bos_id);
  }
  model.RequireTokenizer().Encode(text, {.added_tokens = false}, ids);
  return ids;
}

}  // namespace fathom
