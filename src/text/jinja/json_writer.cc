#include "text/jinja/json_writer.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/jinja/operations.h"
#include "text/jinja/python_text.h"
#include "text/jinja/value_writer.h"

namespace fathom::jinja {
namespace {

using Kind = Value::Kind;

std::string JsonNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return FloatRepr(value);
}

class Writer : public ValueWriter {
 public:
  Writer(Runtime& runtime, const JsonStyle& style)
      : ValueWriter(runtime, {"null", "true", "false", JsonNumber}), style_(style) {}

  void Write(const Value& value) {
    const Runtime::Deeper deeper(runtime_);
    runtime_.Step();
    runtime_.CheckSize(out_.size());
    if (PutScalar(value)) return;
    switch (value.kind()) {
      case Kind::kString:
        String(value.text());
        return;
      case Kind::kSequence:
        if (value.sequence().form != SequenceObject::Form::kList &&
            value.sequence().form != SequenceObject::Form::kTuple) {
          break;
        }
        Array(value.sequence());
        return;
      case Kind::kDict:
        Object(value.dict());
        return;
      default:
        break;
    }
    runtime_.Fail(fmt::format("'{}' cannot be written as JSON", TypeName(value)));
  }

 private:
  void NewLine(size_t level) {
    if (!style_.has_indent) return;
    runtime_.Step(level);
    runtime_.CheckSize(out_.size() + level * (style_.indent.size() + 1));
    Put("\n");
    for (size_t i = 0; i < level; ++i) out_.Append(style_.indent);
  }

  void Array(const SequenceObject& sequence) {
    if (sequence.items.empty()) return Put("[]");
    Put("[");
    ++level_;
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) out_.Append(style_.item_separator);
      NewLine(level_);
      Write(sequence.items[i]);
    }
    NewLine(--level_);
    Put("]");
  }

  void Object(const DictObject& dict) {
    if (dict.entries.empty()) return Put("{}");
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return Less(runtime_, a->first, b->first);
      });
    }
    Put("{");
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_.Append(style_.item_separator);
      NewLine(level_);
      Key(entries[i]->first);
      out_.Append(style_.key_separator);
      Write(entries[i]->second);
    }
    NewLine(--level_);
    Put("}");
  }

  void Key(const Value& key) {
    switch (key.kind()) {
      case Kind::kString:
        return String(key.text());
      case Kind::kNone:
        return Put("\"null\"");
      case Kind::kBool:
        return Put(key.boolean() ? "\"true\"" : "\"false\"");
      case Kind::kInt:
        return Put(fmt::format("\"{}\"", key.integer()));
      case Kind::kFloat:
        return Put("\"" + JsonNumber(key.number()) + "\"");
      default:
        runtime_.Fail(fmt::format("'{}' cannot be a key in JSON", TypeName(key)));
    }
  }

  void String(const Text& text) {
    runtime_.Scan(text.size() * 4);
    runtime_.CheckSize(out_.size() + text.size() * (style_.ensure_ascii ? 6 : 1));
    Put("\"");
    text.ForEachRun([&](std::string_view piece, bool trusted) {
      size_t plain = 0;  // where the bytes begin that stand for themselves
      for (size_t i = 0; i < piece.size();) {
        const size_t length = CharacterLength(piece[i]);
        const std::string escaped = Escaped(CharacterAt(piece, i));
        if (!escaped.empty()) {
          out_.Append(piece.substr(plain, i - plain), trusted);
          out_.Append(escaped, trusted);
          plain = i + length;
        }
        i += length;
      }
      out_.Append(piece.substr(plain), trusted);
      runtime_.CheckSize(out_.size());
    });
    Put("\"");
  }

  // Empty for what stands for itself.
  std::string Escaped(char32_t character) const {
    switch (character) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\f':
        return "\\f";
      case '\b':
        return "\\b";
      default:
        break;
    }
    const auto code = static_cast<uint32_t>(character);
    if (code >= 0x20 && (!style_.ensure_ascii || code < 0x7F)) return {};
    if (code == 0x7F) return {};
    if (code < 0x10000) return fmt::format("\\u{:04x}", code);
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10),
                       0xDC00 + ((code - 0x10000) & 0x3FF));
  }

  const JsonStyle& style_;
  size_t level_ = 0;
};

}  // namespace

Text ToJson(Runtime& runtime, const Value& value, const JsonStyle& style) {
  Writer writer(runtime, style);
  writer.Write(value);
  return writer.Take();
}

JsonStyle IndentedJson(Runtime& runtime, int64_t width) {
  JsonStyle style;
  style.has_indent = true;
  const auto spaces = static_cast<size_t>(std::max<int64_t>(width, 0));
  runtime.CheckSize(spaces);
  style.indent = Text(std::string(spaces, ' '), true);
  style.item_separator = Text(",", true);
  return style;
}

}  // namespace fathom::jinja
