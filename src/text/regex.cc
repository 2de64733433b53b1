#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "text/regex_translate.h"

namespace fathom {
namespace {

constexpr size_t kMaxPatternBytes = 1 << 16;
constexpr size_t kJitStackStart = 32 << 10;
constexpr size_t kJitStackMax = 1 << 20;
constexpr uint32_t kHeapLimitKib = 64 << 10;

std::string MessageOf(int code) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof(buffer)) < 0) return "unknown error";
  return reinterpret_cast<const char*>(buffer);
}

// What a search writes to, one a thread: patterns are shared, this is not. Only the whole match is
// wanted, so one pair of offsets serves every pattern.
class SearchState {
 public:
  SearchState()
      : data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        stack_(pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr)) {
    if (data_ == nullptr || context_ == nullptr) {
      Free();
      throw Error("regular expression", "out of memory");
    }
    // Without a stack of its own the JIT uses 32 KiB of the thread's.
    if (stack_ != nullptr) pcre2_jit_stack_assign(context_, nullptr, stack_);
    pcre2_set_heap_limit(context_, kHeapLimitKib);
  }
  ~SearchState() { Free(); }
  SearchState(const SearchState&) = delete;
  SearchState& operator=(const SearchState&) = delete;

  pcre2_match_data* data() { return data_; }
  pcre2_match_context* ContextFor(size_t subject_bytes) {
    const uint64_t steps = 1'000'000 + 64 * static_cast<uint64_t>(subject_bytes);
    pcre2_set_match_limit(context_, static_cast<uint32_t>(std::min<uint64_t>(steps, UINT32_MAX)));
    return context_;
  }

 private:
  void Free() {
    pcre2_match_data_free(data_);
    pcre2_match_context_free(context_);
    pcre2_jit_stack_free(stack_);
  }

  pcre2_match_data* data_;
  pcre2_match_context* context_;
  pcre2_jit_stack* stack_;
};

SearchState& ThreadSearchState() {
  thread_local SearchState state;
  return state;
}

}  // namespace

struct Regex::Code {
  ~Code() { pcre2_code_free(code); }
  pcre2_code* code = nullptr;
  bool jit = false;
};

Regex::Regex(std::string_view pattern, std::string_view where) {
  if (pattern.size() > kMaxPatternBytes) {
    throw Error(where, fmt::format("a pattern of {} bytes is longer than the limit of {}",
                                   pattern.size(), kMaxPatternBytes));
  }
  const std::string translated = TranslateForPcre(pattern, where);
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  if (context == nullptr) throw Error(where, "out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);

  auto code = std::make_shared<Code>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  // MULTILINE: in Oniguruma ^ and $ always stand for the borders of lines.
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                             &error, &offset, context.get());
  if (code->code == nullptr) {
    throw Error(where, fmt::format("pattern '{}' does not compile: {}", pattern, MessageOf(error)));
  }
  code->jit = pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE) == 0;
  code_ = std::move(code);
}

std::optional<TextRange> Regex::Find(std::string_view subject, size_t start) const {
  SearchState& state = ThreadSearchState();
  pcre2_match_context* context = state.ContextFor(subject.size());
  // An empty view may have no address, which PCRE2 does not take.
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.empty() ? "" : subject.data());
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (code_->jit) {
    result = pcre2_jit_match(code_->code, text, subject.size(), start, PCRE2_NO_UTF_CHECK,
                             state.data(), context);
  }
  // The interpreter keeps its backtracking on the heap, within its own limit.
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
    result = pcre2_match(code_->code, text, subject.size(), start,
                         PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, state.data(), context);
  }
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (result < 0) {
    throw Error(fmt::format("pre-tokeniser at byte {}", start),
                fmt::format("the pattern cannot be matched on this text: {}", MessageOf(result)));
  }
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(state.data());
  // \K inside a look-ahead can put the start behind the end, or before where the search began.
  if (offsets[0] > offsets[1] || offsets[0] < start) {
    throw Error("pre-tokeniser", "the pattern moves the start of its match (\\K)");
  }
  return TextRange{offsets[0], offsets[1]};
}

}  // namespace fathom
