#include "text/chat/chat_template.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/chat/format_writer.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using jinja::Data;

// Roles are names that programs write, and templates make special tokens of some
// ("<|" + role + "|>"), so these few are trusted.
constexpr std::array<std::string_view, 8> kRoles = {"system",    "user",     "assistant", "tool",
                                                    "developer", "function", "ipython",   "model"};

// Special tokens that end a turn somewhere.
constexpr std::array<std::string_view, 16> kTurnEnds = {"<|im_end|>",
                                                        "<|eot_id|>",
                                                        "<|eom_id|>",
                                                        "<end_of_turn>",
                                                        "<|end|>",
                                                        "<|endoftext|>",
                                                        "</s>",
                                                        "<｜end▁of▁sentence｜>",
                                                        "<|end_of_text|>",
                                                        "<|eot|>",
                                                        "<|return|>",
                                                        "<|call|>",
                                                        "<|END_OF_TURN_TOKEN|>",
                                                        "<|end_of_turn|>",
                                                        "<turn|>",
                                                        "<|END_RESPONSE|>"};

void TrustRoles(Data& messages) {
  for (Data& message : messages.items) {
    Data* role = message.Find("role");
    if (role == nullptr || !role->IsString()) continue;
    role->trusted = std::find(kRoles.begin(), kRoles.end(), role->string) != kRoles.end();
  }
}

// The names and contents of "..._token" in a tokenizer_config.json.
std::vector<std::pair<std::string, std::string>> SpecialTokens(const JsonValue& config) {
  std::vector<std::pair<std::string, std::string>> tokens;
  for (const auto& [key, value] : config.Object()) {
    if (!key.ends_with("_token") || key.starts_with("add_")) continue;
    std::optional<JsonValue> content;
    if (value.IsString()) content = value;
    if (value.IsObject()) content = value.Find("content");
    if (content && content->IsString()) tokens.emplace_back(key, content->String());
  }
  return tokens;
}

// Templates by name; "default" is the one of a conversation without tools.
std::map<std::string, std::string> TemplatesOf(const JsonValue& value) {
  std::map<std::string, std::string> templates;
  if (value.IsString()) {
    templates.emplace("default", value.String());
    return templates;
  }
  for (const JsonValue& item : value.Array()) {
    templates.emplace(item.At("name").String(), item.At("template").String());
  }
  return templates;
}

}  // namespace

ChatTemplate ChatTemplate::Load(const fs::path& directory, const Tokenizer* tokenizer,
                                Engine engine) {
  const auto side_file = [&](std::string_view name) -> std::optional<std::string> {
    if (std::error_code error; !fs::exists(directory / name, error)) return std::nullopt;
    return ReadFile(directory / name);
  };
  return Load(side_file, directory.string(), tokenizer, engine);
}

ChatTemplate ChatTemplate::Load(const SideFile& side_file, std::string_view where,
                                const Tokenizer* tokenizer, Engine engine) {
  std::map<std::string, std::string> templates;
  std::vector<std::pair<std::string, std::string>> tokens;
  const auto path = [&](const char* name) { return (fs::path(where) / name).string(); };
  std::string source = path("tokenizer_config.json") + ": chat_template";
  if (const auto text = side_file("tokenizer_config.json")) {
    const JsonDocument config(*text, path("tokenizer_config.json"));
    tokens = SpecialTokens(config.root());
    if (const auto value = config.root().Find("chat_template")) templates = TemplatesOf(*value);
  }
  if (auto text = side_file("chat_template.jinja")) {
    source = path("chat_template.jinja");
    templates = {{"default", std::move(*text)}};
  } else if (const auto json = side_file("chat_template.json")) {
    source = path("chat_template.json");
    const JsonDocument document(*json, source);
    templates = TemplatesOf(document.root().At("chat_template"));
  }
  if (templates.empty()) {
    const NativeFormat* native = tokenizer != nullptr ? FindNativeFormat(*tokenizer) : nullptr;
    if (native == nullptr || engine == Engine::kJinja) {
      throw Error(where, "there is no chat template",
                  "a chat model has one in chat_template.jinja or tokenizer_config.json");
    }
    // A DeepSeek, Llama or Qwen vocabulary; the beginning of a text is its family's.
    if (tokens.empty()) {
      for (const std::string_view begin : {"<｜begin▁of▁sentence｜>", "<|begin_of_text|>"}) {
        if (tokenizer->AddedTokenId(begin)) tokens.emplace_back("bos_token", begin);
      }
    }
    return ChatTemplate(native, std::move(tokens));
  }
  const auto first = templates.contains("default") ? templates.find("default") : templates.begin();
  ChatTemplate result(first->second, source, tokens, engine);
  if (const auto with_tools = templates.find("tool_use"); with_tools != templates.end()) {
    result.with_tools_ =
        std::make_shared<const ChatTemplate>(with_tools->second, source, tokens, engine);
  }
  return result;
}

ChatTemplate::ChatTemplate(std::string_view text, std::string_view where,
                           std::vector<std::pair<std::string, std::string>> special_tokens,
                           Engine engine)
    : where_(where), text_(text), special_tokens_(std::move(special_tokens)) {
  if (engine != Engine::kJinja) native_ = FindNativeFormat(text);
  if (engine == Engine::kNative && native_ == nullptr) {
    throw Error(where, "is not a template that Fathom knows by itself");
  }
  template_.emplace(text, where);
  FindForm();
}

ChatTemplate ChatTemplate::ForFormat(
    std::string_view format, std::vector<std::pair<std::string, std::string>> special_tokens) {
  for (const NativeFormat& native : NativeFormats()) {
    if (native.name == format) return ChatTemplate(&native, std::move(special_tokens));
  }
  throw Error("", fmt::format("there is no chat format '{}'", format));
}

ChatTemplate::ChatTemplate(const NativeFormat* native,
                           std::vector<std::pair<std::string, std::string>> special_tokens)
    : where_("chat format"), special_tokens_(std::move(special_tokens)), native_(native) {
  FindForm();
}

std::string_view ChatTemplate::name() const {
  return native_ != nullptr ? native_->name : std::string_view("jinja");
}

// Renders a conversation with a tool call in every form, the usual one first, until what was called
// is in the prompt.
void ChatTemplate::FindForm() {
  constexpr std::string_view kNeedle = "fathom_probe";
  form_ = {.arguments_are_objects = true, .empty_content_is_null = false};
  const std::vector<ChatMessage> messages = {
      {.role = "user", .content = "call"},
      {.role = "assistant",
       .tool_calls = {{.name = "tool",
                       .arguments = "{\"" + std::string(kNeedle) + "\": 1}",
                       .id = "abcdefghi"}}},
      {.role = "tool", .content = "done", .tool_call_id = "abcdefghi", .name = "tool"}};
  for (const bool null_content : {false, true}) {
    for (const bool objects : {true, false}) {
      const MessageForm form{.arguments_are_objects = objects,
                             .empty_content_is_null = null_content};
      try {
        const Data normalized = NormalizeMessages(ChatMessagesToData(messages), form);
        const std::string prompt = Render(normalized, {.now = 0, .verbatim = true}).bytes();
        // In quotes inside of quotes it was text where an object is wanted.
        const size_t place = prompt.find(kNeedle);
        if (place == std::string::npos ||
            prompt.find("\\\"" + std::string(kNeedle)) != std::string::npos) {
          continue;
        }
        form_ = form;
        FindToolForm(normalized);
        return;
      } catch (const Error&) {
        // Not in this form.
      }
    }
  }
}

void ChatTemplate::FindToolForm(const Data& messages) {
  constexpr std::string_view kName = "fathom_probe_tool";
  Data function = Data::Object(), tool = Data::Object(), parameters = Data::Object();
  parameters.Set("type", Data::String("object"));
  parameters.Set("properties", Data::Object());
  function.Set("name", Data::String(std::string(kName)));
  function.Set("description", Data::String("none"));
  function.Set("parameters", std::move(parameters));
  tool.Set("type", Data::String("function"));
  tool.Set("function", std::move(function));
  ChatOptions options{.now = 0, .verbatim = true};
  tool_call_form_ = FindToolCallForm(Render(messages, options).bytes());
  try {
    options.tools = Data::Array({std::move(tool)});
    const std::string prompt = Render(messages, options).bytes();
    shows_tools_ = prompt.find(kName) != std::string::npos;
    if (tool_call_form_ == ToolCallForm::kNone) tool_call_form_ = FindToolCallForm(prompt);
  } catch (const Error&) {
    // A template that cannot take tools.
  }
}

Data ChatTemplate::Variables(const Data& messages, const ChatOptions& options) const {
  Data variables = Data::Object();
  for (const auto& [name, content] : special_tokens_) {
    variables.Set(name, Data::String(content, /*trusted=*/true));
  }
  variables.Set("tools", options.tools);
  variables.Set("documents", Data::Null());
  variables.Set("add_generation_prompt", Data::Bool(options.generation_prompt));
  if (options.think) {
    variables.Set("enable_thinking", Data::Bool(*options.think));
    variables.Set("thinking", Data::Bool(*options.think));
  }
  for (size_t i = 0; i < options.variables.keys.size(); ++i) {
    variables.Set(options.variables.keys[i], options.variables.items[i]);
  }
  Data own = messages;
  TrustRoles(own);
  variables.Set("messages", std::move(own));
  return variables;
}

jinja::Text ChatTemplate::Render(const Data& messages, const ChatOptions& options) const {
  if (with_tools_ && options.tools.IsArray()) return with_tools_->Render(messages, options);
  if (!messages.IsArray()) throw Error(where_, "the messages are not a list");
  const Data variables =
      Variables(options.verbatim ? messages : NormalizeMessages(messages, form_), options);
  const bool is_native =
      native_ != nullptr &&
      std::none_of(native_->refused.begin(), native_->refused.end(),
                   [&](std::string_view name) { return options.variables.Find(name) != nullptr; });
  if (!is_native) {
    if (!template_) {
      throw Error(where_,
                  "there is no chat template, and the format that stands for it has not "
                  "all of these variables");
    }
    return template_->Render(variables, options.now);
  }
  const jinja::Limits limits;
  const std::string where = fmt::format("{} ({})", where_, native_->name);
  jinja::Runtime runtime(where, limits);
  const jinja::Value values = runtime.FromData(variables);
  const auto value = [&](std::string_view name) { return Member(runtime, values, name); };
  return native_->render({.runtime = runtime,
                          .messages = value("messages"),
                          .tools = value("tools"),
                          .variables = values,
                          .generation_prompt = options.generation_prompt,
                          .now = options.now});
}

std::vector<int32_t> ChatTemplate::Encode(const Tokenizer& tokenizer, const Data& messages,
                                          const ChatOptions& options) const {
  return EncodePrompt(tokenizer, Render(messages, options));
}

std::vector<int32_t> ChatTemplate::Encode(const Tokenizer& tokenizer,
                                          std::span<const ChatMessage> messages,
                                          const ChatOptions& options) const {
  return Encode(tokenizer, ChatMessagesToData(messages), options);
}

std::vector<int32_t> ChatTemplate::StopIds(const Tokenizer& tokenizer) const {
  std::vector<int32_t> ids;
  const auto add = [&](std::string_view content) {
    const auto id = tokenizer.AddedTokenId(content);
    if (id && std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  };
  for (const auto& [name, content] : special_tokens_) {
    if (name == "eos_token") add(content);
  }
  if (native_ != nullptr) {
    for (const std::string_view stop : native_->stops) add(stop);
  } else {
    for (const std::string_view end : kTurnEnds) {
      if (text_.find(end) != std::string::npos) add(end);
    }
  }
  return ids;
}

}  // namespace fathom
