#include "text/normalizer.h"

#include <utf8proc.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

using Form = Normalizer::Form;

int Options(Form form) {
  switch (form) {
    case Form::kNfc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case Form::kNfd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case Form::kNfkc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    case Form::kNfkd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  }
  return 0;
}

void AppendNormalized(std::string_view text, int options, std::string& out) {
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &result,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (size < 0) throw Error("normalizer", utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(result), static_cast<size_t>(size));
}

// One bit a code point: whether it is touched by a form, whatever surrounds it. What is not is a
// starter that stays as it is and is never composed with what comes before it, so that the text may
// be cut in front of it.
class TouchedSet {
 public:
  explicit TouchedSet(Form form) : bits_(0x110000 / 64) {
    const int options = Options(form);
    const bool composes = form == Form::kNfc || form == Form::kNfkc;
    const ClassLookup classes;
    std::string text, result;
    for (char32_t c = 0x80; c <= 0x10FFFF; ++c) {
      const utf8proc_property_t* property = utf8proc_get_property(static_cast<int32_t>(c));
      const bool hangul = c >= 0xAC00 && c <= 0xD7A3;
      if (property->combining_class != 0) {
        Set(c);
      } else if (hangul) {
        if (!composes) Set(c);
      } else if (property->decomp_seqindex != UINT16_MAX) {
        text.clear();
        result.clear();
        AppendUtf8(c, text);
        AppendNormalized(text, options, result);
        if (result != text) Set(c);
        if (composes) {  // whatever can be the second half of a composition
          result.clear();
          AppendNormalized(text, Options(Form::kNfd), result);
          const char* p = result.data();
          for (NextCodePoint(p); p < result.data() + result.size();) Set(NextCodePoint(p));
        }
      }
    }
    if (composes) {  // vowels and final consonants of Hangul
      for (char32_t c = 0x1161; c <= 0x1175; ++c) Set(c);
      for (char32_t c = 0x11A8; c <= 0x11C2; ++c) Set(c);
    }
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
      if (classes(c) & kNotNormalized) bits_[c / 64] &= ~(uint64_t{1} << (c % 64));
    }
  }

  bool operator[](char32_t c) const { return bits_[c / 64] >> (c % 64) & 1; }

 private:
  void Set(char32_t c) { bits_[c / 64] |= uint64_t{1} << (c % 64); }

  std::vector<uint64_t> bits_;
};

const TouchedSet& TouchedBy(Form form) {
  switch (form) {
    case Form::kNfc: {
      static const TouchedSet set(Form::kNfc);
      return set;
    }
    case Form::kNfd: {
      static const TouchedSet set(Form::kNfd);
      return set;
    }
    case Form::kNfkc: {
      static const TouchedSet set(Form::kNfkc);
      return set;
    }
    case Form::kNfkd:
      break;
  }
  static const TouchedSet set(Form::kNfkd);
  return set;
}

// Appends `text` in `form` to out; returns false, and appends nothing, when no character is
// touched.
bool Normalize(std::string_view text, Form form, std::string& out) {
  const TouchedSet& touched = TouchedBy(form);
  const ClassLookup classes;
  const char* const end = text.data() + text.size();
  const char* copied = text.data();  // everything before it is in out
  // The character before p, if the normalizers know it: p may be composed with it.
  const char* base = nullptr;
  bool changed = false;
  for (const char* p = text.data(); p < end;) {
    const char* const here = p;
    const char32_t c = NextCodePoint(p);
    if (c < 0x80 || !touched[c]) {
      base = classes(c) & kNotNormalized ? nullptr : here;
      continue;
    }
    const char* const begin = base != nullptr ? base : here;
    while (p < end) {
      const char* next = p;
      if (!touched[NextCodePoint(next)]) break;
      p = next;
    }
    out.append(copied, begin);
    AppendNormalized({begin, static_cast<size_t>(p - begin)}, Options(form), out);
    copied = p;
    base = nullptr;
    changed = true;
  }
  if (changed) out.append(copied, end);
  return changed;
}

}  // namespace

std::string_view Normalizer::Apply(std::string_view text, std::string& buffer) const {
  for (const Form form : forms_) {
    std::string result;
    if (Normalize(text, form, result)) {
      buffer.swap(result);
      text = buffer;
    }
  }
  return text;
}

}  // namespace fathom
