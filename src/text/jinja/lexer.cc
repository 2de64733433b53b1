#include "text/jinja/lexer.h"

#include <algorithm>

#include "base/error.h"
#include "text/jinja/python_text.h"

namespace fathom::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (c & 0x80) != 0;
}

class Lexer {
 public:
  Lexer(std::string source, std::string_view where) : source_(std::move(source)), where_(where) {}

  std::vector<Token> Run() {
    while (position_ < source_.size()) TextAndTag();
    Emit(Token::Kind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(position_); }
  bool At(std::string_view text) const { return rest().starts_with(text); }

  [[noreturn]] void Fail(std::string_view what) const {
    throw Error(fmt::format("{}, line {}", where_, line_), what);
  }

  void Advance(size_t bytes) {
    if (bytes == 0) return;
    const std::string_view passed = rest().substr(0, bytes);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    position_ += bytes;
    line_starting_ = source_[position_ - 1] == '\n';
  }

  void Emit(Token::Kind kind, std::string_view text) {
    tokens_.push_back({kind, line_, std::string(text)});
  }

  // Template text up to the next tag, and the tag.
  void TextAndTag() {
    size_t tag = position_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 == source_.size()) {
        tag = source_.size();
        break;
      }
      const char c = source_[tag + 1];
      if (c == '%' || c == '{' || c == '#') break;
    }
    const std::string_view text = rest().substr(0, tag - position_);
    if (tag == source_.size()) {
      if (!text.empty()) Emit(Token::Kind::kData, text);
      Advance(text.size());
      return;
    }
    const char type = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    EmitStripped(text, sign, type != '{');
    Advance(tag - position_);
    Advance(sign == '-' || sign == '+' ? 3 : 2);
    if (type == '#') {
      SkipComment();
    } else if (type == '{') {
      Emit(Token::Kind::kVariableBegin, {});
      Inside('}');
    } else if (!Raw()) {
      Emit(Token::Kind::kBlockBegin, {});
      Inside('%');
    }
  }

  // Text before a tag, without the white space that the tag takes away.
  void EmitStripped(std::string_view text, char sign, bool strips_line) {
    if (sign == '-') {
      text.remove_suffix(TrailingSpace(text));
    } else if (sign != '+' && strips_line) {
      const size_t line = text.rfind('\n') + 1;  // npos + 1 is 0
      if ((line > 0 || line_starting_) && LeadingSpace(text.substr(line)) == text.size() - line) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) Emit(Token::Kind::kData, text);
  }

  // The bytes of a tag's end, with the white space it takes, when it stands here; otherwise 0. end:
  // '%', '}' or '#'.
  size_t TagEnd(char end) const {
    const std::string close{end, '}'};
    if (At("-" + close)) return 3 + LeadingSpace(rest().substr(3));
    if (end != '}' && At("+" + close)) return 3;
    if (!At(close)) return 0;
    return end != '}' && At(close + "\n") ? 3 : 2;
  }

  void SkipComment() {
    const size_t found = rest().find("#}");
    if (found == std::string_view::npos) Fail("a comment is not closed");
    // Its sign belongs to the end.
    const char before = found > 0 ? rest()[found - 1] : ' ';
    Advance(before == '-' || before == '+' ? found - 1 : found);
    Advance(TagEnd('#'));
  }

  // {% raw %}...{% endraw %}, after its "{%": everything inside is text.
  bool Raw() {
    const size_t name = LeadingSpace(rest());
    if (!rest().substr(name).starts_with("raw")) return false;
    const size_t after = name + 3 + LeadingSpace(rest().substr(name + 3));
    const std::string_view end = rest().substr(after);
    const bool strips = end.starts_with("-%}");
    if (!strips && !end.starts_with("%}")) return false;
    Advance(strips ? after + 3 + LeadingSpace(end.substr(3)) : after + 2);
    for (size_t from = 0;; from += 2) {
      from = rest().find("{%", from);
      if (from == std::string_view::npos) Fail("a raw block is not closed");
      std::string_view tag = rest().substr(from + 2);
      const char sign = tag.empty() ? ' ' : tag[0];
      if (sign == '-' || sign == '+') tag.remove_prefix(1);
      tag.remove_prefix(LeadingSpace(tag));
      if (!tag.starts_with("endraw")) continue;
      tag.remove_prefix(6);
      tag.remove_prefix(LeadingSpace(tag));
      if (!tag.starts_with("%}") && !tag.starts_with("-%}") && !tag.starts_with("+%}")) continue;
      EmitStripped(rest().substr(0, from), sign, true);
      Advance(static_cast<size_t>(tag.data() - rest().data()));
      Advance(TagEnd('%'));
      return true;
    }
  }

  // Tokens up to the end of a tag.
  void Inside(char end) {
    std::string open;  // brackets that are not closed yet, by what closes them
    for (;;) {
      if (position_ == source_.size()) Fail("a tag is not closed");
      if (open.empty()) {
        if (const size_t length = TagEnd(end)) {
          Emit(end == '}' ? Token::Kind::kVariableEnd : Token::Kind::kBlockEnd, {});
          Advance(length);
          return;
        }
      }
      if (const size_t space = LeadingSpace(rest())) {
        Advance(space);
      } else if (IsDigit(rest()[0])) {
        Number();
      } else if (IsNameCharacter(rest()[0])) {
        size_t length = 1;
        while (length < rest().size() && IsNameCharacter(rest()[length])) ++length;
        Emit(Token::Kind::kName, rest().substr(0, length));
        Advance(length);
      } else if (rest()[0] == '\'' || rest()[0] == '"') {
        String();
      } else {
        Operator(open);
      }
    }
  }

  void Number() {
    const std::string_view text = rest();
    size_t length = 0;
    const auto digits = [&] {
      const size_t begin = length;
      while (length < text.size() &&
             (IsDigit(text[length]) || (text[length] == '_' && length > begin))) {
        ++length;
      }
      return length > begin;
    };
    if (text.size() > 1 && text[0] == '0' &&
        std::string_view("xXoObB").find(text[1]) != std::string_view::npos) {
      Fail("numbers are decimal here");
    }
    digits();
    bool is_float = false;
    // In a.1.0 there are two integers.
    const bool after_dot = position_ > 0 && source_[position_ - 1] == '.';
    if (!after_dot && length + 1 < text.size() && text[length] == '.' &&
        IsDigit(text[length + 1])) {
      is_float = true;
      ++length;
      digits();
    }
    if (!after_dot && length < text.size() && (text[length] == 'e' || text[length] == 'E')) {
      const size_t mantissa = length++;
      if (length < text.size() && (text[length] == '+' || text[length] == '-')) ++length;
      if (digits()) {
        is_float = true;
      } else {
        length = mantissa;
      }
    }
    std::string number(text.substr(0, length));
    std::erase(number, '_');
    Emit(is_float ? Token::Kind::kFloat : Token::Kind::kInteger, number);
    Advance(length);
  }

  void String() {
    const std::string_view text = rest();
    size_t end = 1;
    while (end < text.size() && text[end] != text[0]) end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size()) Fail("a string is not closed");
    Emit(Token::Kind::kString, DecodeEscapes(text.substr(1, end - 1)));
    Advance(end + 1);
  }

  void Operator(std::string& open) {
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (At(two)) {
        Emit(Token::Kind::kOperator, two);
        Advance(2);
        return;
      }
    }
    const char c = rest()[0];
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      Fail(fmt::format("unexpected '{}'", rest().substr(0, CharacterLength(c))));
    }
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) Fail(fmt::format("unexpected '{}'", c));
      open.pop_back();
    }
    Emit(Token::Kind::kOperator, rest().substr(0, 1));
    Advance(1);
  }

  std::string source_;
  std::string where_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string NormalizeNewlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

std::vector<Token> Tokenize(std::string_view source, std::string_view where) {
  return Lexer(NormalizeNewlines(source), where).Run();
}

}  // namespace fathom::jinja
