#include "cli/tokenize_chat.h"

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/common.h"
#include "cli/generation_options.h"
#include "formats/model_source.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using jinja::Data;

struct TokenizeChatArguments {
  fs::path model;
  std::string messages = "-";
  fs::path tools;
  std::string engine = "auto";
  std::optional<bool> think;
  bool no_generation_prompt = false;
  bool text = false;
  bool json = false;
  bool batch = false;
};

struct Request {
  Data messages;
  ChatOptions options;
};

// A conversation: an array of messages, or an object as OpenAI's API and transformers have it.
Request ReadRequest(std::string_view json, std::string_view where) {
  const JsonDocument document(json, where);
  const JsonValue& root = document.root();
  Request request;
  if (root.IsArray()) {
    request.messages = ChatMessagesFromJson(root);
    return request;
  }
  request.messages = ChatMessagesFromJson(root.At("messages"));
  if (const auto tools = root.Find("tools")) {
    tools->Array();
    request.options.tools = Data::FromJson(*tools);
  }
  if (const auto variables = root.Find("chat_template_kwargs")) {
    variables->Object();
    request.options.variables = Data::FromJson(*variables);
  }
  if (const auto now = root.Find("now")) request.options.now = now->Int();
  request.options.generation_prompt = root.BoolOr("add_generation_prompt", true);
  request.options.verbatim = root.BoolOr("verbatim", false);
  return request;
}

nlohmann::ordered_json Describe(const ChatTemplate& chat, const Tokenizer* tokenizer,
                                const jinja::Text& prompt) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  prompt.ForEachRun([&](std::string_view piece, bool trusted) {
    segments.push_back({{"text", piece}, {"trusted", trusted}});
  });
  nlohmann::ordered_json result = {{"format", chat.name()},
                                   {"text", prompt.bytes()},
                                   {"segments", std::move(segments)},
                                   {"inside_thinking", EndsInsideThinking(prompt)}};
  if (tokenizer != nullptr) {
    result["ids"] = EncodePrompt(*tokenizer, prompt);
    result["stop_ids"] = chat.StopIds(*tokenizer);
  }
  return result;
}

// Conversations, one a line, from stdin; what cannot be rendered becomes {"error": ...}.
void Batch(const ChatTemplate& chat, const Tokenizer* tokenizer) {
  const std::string input = ReadStandardInput();
  size_t number = 0;
  for (size_t begin = 0; begin < input.size();) {
    const size_t end = std::min(input.find('\n', begin), input.size());
    const std::string line = input.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    nlohmann::ordered_json result;
    try {
      const Request request = ReadRequest(line, fmt::format("line {}", number));
      result = Describe(chat, tokenizer, chat.Render(request.messages, request.options));
    } catch (const Error& error) {
      result = {{"error", error.what()}};
    }
    WriteJson(result);
  }
}

void Run(const TokenizeChatArguments& arguments) {
  const ChatTemplate::Engine engine = arguments.engine == "jinja"    ? ChatTemplate::Engine::kJinja
                                      : arguments.engine == "native" ? ChatTemplate::Engine::kNative
                                                                     : ChatTemplate::Engine::kAuto;
  // The text of a prompt needs no vocabulary.
  std::optional<Tokenizer> tokenizer;
  const bool wants_ids = !arguments.text && !arguments.json && !arguments.batch;
  std::unique_ptr<ModelSource> file;  // a GGUF
  if (fs::is_regular_file(arguments.model)) {
    file = ModelSource::Open(arguments.model);
    tokenizer = file->LoadTokenizer();
  } else if (wants_ids || fs::exists(arguments.model / "tokenizer.json")) {
    tokenizer.emplace(Tokenizer::Load(arguments.model));
  }
  const Tokenizer* known = tokenizer ? &*tokenizer : nullptr;
  const ChatTemplate chat =
      file ? ChatTemplate::Load([&](std::string_view name) { return file->SideFile(name); },
                                arguments.model.string(), known, engine)
           : ChatTemplate::Load(arguments.model, known, engine);
  if (arguments.batch) return Batch(chat, known);

  const bool from_input = arguments.messages == "-";
  const std::string json = from_input ? ReadStandardInput() : ReadFile(arguments.messages);
  Request request = ReadRequest(json, from_input ? "standard input" : arguments.messages);
  if (!arguments.tools.empty()) {
    const std::string tools = ReadFile(arguments.tools);
    const JsonDocument document(tools, arguments.tools.string());
    document.root().Array();
    request.options.tools = Data::FromJson(document.root());
  }
  if (arguments.think) request.options.think = arguments.think;
  if (arguments.no_generation_prompt) request.options.generation_prompt = false;
  const jinja::Text prompt = chat.Render(request.messages, request.options);
  if (wants_ids && !tokenizer) throw Error(arguments.model.string(), "there is no tokenizer");
  if (arguments.text) {
    WriteStandardOutput(prompt.bytes());
  } else if (arguments.json) {
    WriteJson(Describe(chat, known, prompt));
  } else {
    WriteStandardOutput(fmt::format("{}\n", fmt::join(EncodePrompt(*tokenizer, prompt), " ")));
  }
}

}  // namespace

void AddTokenizeChatCommand(Command parent) {
  Command command = parent.AddCommand(
      "chat", "Read a conversation in JSON, write the token ids that the model sees.");
  command.Footer(
      "The conversation is an array of messages, or an object with messages, tools,\n"
      "add_generation_prompt and chat_template_kwargs.\n"
      "Example: echo '[{\"role\": \"user\", \"content\": \"Hi\"}]' | fathom tokenize chat model "
      "--text");
  const auto arguments = std::make_shared<TokenizeChatArguments>();
  command.AddOption("DIR", arguments->model, "Model directory, or a GGUF file").Required();
  command.AddOption("--messages", arguments->messages, "A file instead of stdin");
  command.AddOption("--tools", arguments->tools, "A JSON array of what the model may call");
  AddThinkFlags(command, arguments->think);
  command.AddFlag("--no-generation-prompt", arguments->no_generation_prompt,
                  "Do not begin the model's answer");
  command
      .AddOption("--engine", arguments->engine,
                 "native, jinja (interpret the template), or auto: native where Fathom knows it")
      .OneOf({"auto", "native", "jinja"})
      .ShowDefault();
  Option text = command.AddFlag("--text", arguments->text, "Write the prompt as text");
  Option json = command.AddFlag(
      "--json", arguments->json,
      "Write text, ids, and which parts the template wrote and which the conversation");
  command
      .AddFlag("--batch", arguments->batch,
               "Read one conversation a line on stdin, write one --json result a line")
      .Excludes(text)
      .Excludes(json);
  command.OnRun([arguments] { Run(*arguments); });
}

}  // namespace fathom
