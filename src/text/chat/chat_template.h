#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat/chat_message.h"
#include "text/chat/native_format.h"
#include "text/chat/prompt.h"
#include "text/chat/tool_call_form.h"
#include "text/jinja/data.h"
#include "text/jinja/template.h"
#include "text/tokenizer.h"

namespace fathom {

struct ChatOptions {
  // End where the model's answer begins.
  bool generation_prompt = true;
  // Whether the model is to think first, for templates that let one choose (they see it as
  // enable_thinking and as thinking); nothing: as the template has it.
  std::optional<bool> think;
  // What the model may call: an array of tools as OpenAI's API has them, or null.
  jinja::Data tools;
  // Further variables of the template; an object, or null.
  jinja::Data variables;
  // The day that a template writes into the prompt, in seconds since 1970; nothing: today.
  std::optional<int64_t> now;
  // Hand the messages over as they are. Otherwise they are put into the form that this template
  // reads (NormalizeMessages), so that what OpenAI's clients send works with every template.
  bool verbatim = false;
};

// How a model wants a conversation to be written: the chat template of a model directory. Known
// templates (DeepSeek-V3, R1, Qwen, Llama, Fathom's own) are written out in C++, the others are
// interpreted (jinja/template.h); both render the same. Immutable; safe to use from several threads
// at once.
class ChatTemplate {
 public:
  enum class Engine {
    kAuto,    // native where the template is a known one
    kNative,  // Error where it is not
    kJinja,   // always interpreted
  };

  // The text of one of the small files beside a model's weights; nothing when there is none.
  using SideFile = std::function<std::optional<std::string>(std::string_view name)>;

  // The template of a model: chat_template.jinja, chat_template.json, or "chat_template" of
  // tokenizer_config.json (which may hold one for tools besides the default); without one, the
  // format of the family that the vocabulary's special tokens tell (tokenizer may be null). where:
  // the model, for errors. Throws Error when there is neither, and when a file or template cannot
  // be read.
  static ChatTemplate Load(const SideFile& side_file, std::string_view where,
                           const Tokenizer* tokenizer, Engine engine = Engine::kAuto);
  // The same of a model directory.
  static ChatTemplate Load(const std::filesystem::path& directory, const Tokenizer* tokenizer,
                           Engine engine = Engine::kAuto);

  // From a template's text. special_tokens: (name, content), such as ("bos_token", "<s>"); the
  // template sees them as variables. where: its name in errors.
  ChatTemplate(std::string_view text, std::string_view where,
               std::vector<std::pair<std::string, std::string>> special_tokens,
               Engine engine = Engine::kAuto);

  // A format that Fathom knows by itself, by its name (native_format.cc); Error for another name.
  static ChatTemplate ForFormat(std::string_view format,
                                std::vector<std::pair<std::string, std::string>> special_tokens);

  // "deepseek-v3", "qwen2.5", ..., or "jinja".
  std::string_view name() const;
  // In Jinja; empty where the format is known by the vocabulary alone.
  const std::string& text() const { return text_; }
  // (name, content), such as ("bos_token", "<s>").
  const std::vector<std::pair<std::string, std::string>>& special_tokens() const {
    return special_tokens_;
  }

  // The prompt, with what the conversation's participants wrote told apart from what the template
  // did. messages: an array (chat_message.h). Throws Error when the template refuses them.
  jinja::Text Render(const jinja::Data& messages, const ChatOptions& options = {}) const;
  // The ids of that prompt.
  std::vector<int32_t> Encode(const Tokenizer& tokenizer, const jinja::Data& messages,
                              const ChatOptions& options = {}) const;
  std::vector<int32_t> Encode(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                              const ChatOptions& options = {}) const;

  // The tokens that end an answer in this format, as far as the vocabulary has them.
  std::vector<int32_t> StopIds(const Tokenizer& tokenizer) const;

  // The form that this template reads, found by trying it.
  const MessageForm& form() const { return form_; }
  // How it writes that an assistant calls tools, and whether it shows the tools to the model, found
  // in the same way.
  ToolCallForm tool_call_form() const { return tool_call_form_; }
  bool shows_tools() const { return shows_tools_; }

 private:
  ChatTemplate(const NativeFormat* native,
               std::vector<std::pair<std::string, std::string>> special_tokens);

  jinja::Data Variables(const jinja::Data& messages, const ChatOptions& options) const;
  void FindForm();
  void FindToolForm(const jinja::Data& messages);

  std::string where_;
  std::string text_;
  std::vector<std::pair<std::string, std::string>> special_tokens_;
  const NativeFormat* native_ = nullptr;  // null: interpreted
  std::optional<jinja::Template> template_;
  // "tool_use" among several templates of a model: what is rendered where there are tools.
  std::shared_ptr<const ChatTemplate> with_tools_;
  MessageForm form_;
  ToolCallForm tool_call_form_ = ToolCallForm::kNone;
  bool shows_tools_ = false;
};

}  // namespace fathom
