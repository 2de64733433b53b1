#include <array>

#include "base/error.h"
#include "text/jinja/operations.h"
#include "text/jinja/python_text.h"
#include "text/jinja/value_writer.h"

// str(), repr() and HTML escapes.
namespace fathom::jinja {
namespace {

using Kind = Value::Kind;
using Form = SequenceObject::Form;

class Printer : public ValueWriter {
 public:
  explicit Printer(Runtime& runtime) : ValueWriter(runtime, {"None", "True", "False", FloatRepr}) {}

  void Repr(const Value& value) {
    const Runtime::Deeper deeper(runtime_);
    runtime_.Step();
    runtime_.CheckSize(out_.size());
    if (PutScalar(value)) return;
    switch (value.kind()) {
      case Kind::kUndefined:
        Put("Undefined");
        break;
      case Kind::kString:
        if (value.string().markup) Put("Markup(");
        Quoted(value.text());
        if (value.string().markup) Put(")");
        break;
      case Kind::kSequence:
        Sequence(value.sequence());
        break;
      case Kind::kDict:
        Dict(value.dict());
        break;
      case Kind::kNamespace:
        Put("<Namespace ");
        Dict(*value.name_space().attributes);
        Put(">");
        break;
      case Kind::kLoop:
        Put(fmt::format("<LoopContext {}/{}>", value.loop().index0 + 1, value.loop().items.size()));
        break;
      case Kind::kFunction:
        Put(fmt::format("<{} '{}'>", TypeName(value), value.function().name));
        break;
      default:
        break;
    }
  }

 private:
  void Sequence(const SequenceObject& sequence) {
    switch (sequence.form) {
      case Form::kList:
        Items(sequence, "[", "]");
        break;
      case Form::kTuple:
        Items(sequence, "(", sequence.items.size() == 1 ? ",)" : ")");
        break;
      case Form::kKeys:
        Items(sequence, "dict_keys([", "])");
        break;
      case Form::kValues:
        Items(sequence, "dict_values([", "])");
        break;
      case Form::kItems:
        Items(sequence, "dict_items([", "])");
        break;
      case Form::kRange:
        Range(sequence);
        break;
      case Form::kGenerator:
        Put("<generator>");
        break;
    }
  }

  void Items(const SequenceObject& sequence, std::string_view open, std::string_view close) {
    Put(open);
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) Put(", ");
      Repr(sequence.items[i]);
    }
    Put(close);
  }

  void Range(const SequenceObject& range) {
    const auto at = [&](size_t i) { return range.items[i].integer(); };
    const size_t size = range.items.size();
    const int64_t step = size > 1 ? at(1) - at(0) : 1;
    const int64_t begin = size > 0 ? at(0) : 0;
    const int64_t end = size > 0 ? at(size - 1) + (step > 0 ? 1 : -1) : 0;
    Put(step == 1 ? fmt::format("range({}, {})", begin, end)
                  : fmt::format("range({}, {}, {})", begin, end, step));
  }

  void Dict(const DictObject& dict) {
    Put("{");
    for (size_t i = 0; i < dict.entries.size(); ++i) {
      if (i > 0) Put(", ");
      Repr(dict.entries[i].first);
      Put(": ");
      Repr(dict.entries[i].second);
    }
    Put("}");
  }

  // In single quotes, or in double ones where the text has single ones only.
  void Quoted(const Text& text) {
    const std::string& bytes = text.bytes();
    runtime_.Scan(bytes.size() * 4);
    runtime_.CheckSize(out_.size() + bytes.size());
    const char quote =
        bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos ? '"' : '\'';
    out_.Append({&quote, 1}, true);
    text.ForEachRun([&](std::string_view piece, bool trusted) {
      for (size_t i = 0; i < piece.size();) {
        const size_t length = CharacterLength(piece[i]);
        out_.Append(Escaped(CharacterAt(piece, i), piece.substr(i, length), quote), trusted);
        i += length;
      }
    });
    out_.Append({&quote, 1}, true);
  }

  static std::string Escaped(char32_t character, std::string_view bytes, char quote) {
    switch (character) {
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\\':
        return "\\\\";
      default:
        break;
    }
    if (character == static_cast<char32_t>(quote)) return std::string("\\") + quote;
    if (character >= ' ' && character < 0x7F) return std::string(bytes);
    if (character > 0x7F && IsInClass(character, CharacterClass::kPrintable)) {
      return std::string(bytes);
    }
    const auto code = static_cast<uint32_t>(character);
    if (code <= 0xFF) return fmt::format("\\x{:02x}", code);
    return code <= 0xFFFF ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
  }
};

}  // namespace

Text ToText(Runtime& runtime, const Value& value) {
  if (value.IsString()) {
    runtime.Scan(value.text().size());
    return value.text();
  }
  if (value.IsUndefined()) return {};
  return Repr(runtime, value);
}

Text Repr(Runtime& runtime, const Value& value) {
  Printer printer(runtime);
  printer.Repr(value);
  return printer.Take();
}

Text EscapeHtml(Runtime& runtime, const Text& text) {
  runtime.Scan(text.size());
  runtime.CheckSize(text.size() * 5);
  Text out;
  text.ForEachRun([&](std::string_view piece, bool trusted) {
    for (const char c : piece) {
      switch (c) {
        case '&':
          out.Append("&amp;", trusted);
          break;
        case '<':
          out.Append("&lt;", trusted);
          break;
        case '>':
          out.Append("&gt;", trusted);
          break;
        case '"':
          out.Append("&#34;", trusted);
          break;
        case '\'':
          out.Append("&#39;", trusted);
          break;
        default:
          out.Append({&c, 1}, trusted);
      }
    }
  });
  return out;
}

}  // namespace fathom::jinja
