#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/data.h"
#include "text/jinja/limits.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

// Owns the values of one rendering and counts what it takes. Everything that makes a value or walks
// over one goes through here; each limit that is reached is an Error that names the template's
// line.
class Runtime {
 public:
  // where: the template's name in errors; outlives this.
  Runtime(std::string_view where, const Limits& limits) : where_(where), limits_(limits) {}
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const Limits& limits() const { return limits_; }
  // For errors; 0: there are no lines.
  void set_line(int line) { line_ = line; }
  int line() const { return line_; }
  // hint: what to do about it; may be empty.
  [[noreturn]] void Fail(std::string_view what, std::string_view hint = {}) const;

  void Step(uint64_t count = 1);
  // Bytes that are about to be looked at.
  void Scan(size_t bytes) { Step(1 + bytes / 32); }
  // Fails when a result of so many bytes cannot be had any more. What grows piece by piece asks as
  // it grows.
  void CheckSize(size_t bytes) const;

  Value String(Text text, bool markup = false);
  Value String(std::string_view trusted) { return String(Text(trusted, true)); }
  Value Sequence(SequenceObject::Form form, std::vector<Value> items);
  Value List(std::vector<Value> items) {
    return Sequence(SequenceObject::Form::kList, std::move(items));
  }
  Value Tuple(std::vector<Value> items) {
    return Sequence(SequenceObject::Form::kTuple, std::move(items));
  }
  Value Generator(std::vector<Value> items) {
    return Sequence(SequenceObject::Form::kGenerator, std::move(items));
  }
  Value Dict() { return Value(Make<DictObject>(sizeof(DictObject))); }
  Value Undefined(std::string_view name);
  Value FromData(const Data& data);

  // Any other object; bytes: what it takes.
  template <typename T>
  T* Make(size_t bytes) {
    Take(bytes);
    auto object = std::make_unique<T>();
    T* const result = object.get();
    objects_.push_back(std::move(object));
    return result;
  }
  // Adds to what is in use.
  void Take(size_t bytes);

  // One more evaluation inside others, while it lives.
  class Deeper {
   public:
    explicit Deeper(Runtime& runtime) : runtime_(runtime) {
      if (++runtime.depth_ > runtime.limits_.depth) runtime.FailDepth();
    }
    ~Deeper() { --runtime_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    Runtime& runtime_;
  };

 private:
  [[noreturn]] void FailDepth();

  std::string_view where_;
  const Limits& limits_;
  int line_ = 0;
  int depth_ = 0;
  uint64_t steps_ = 0;
  size_t memory_ = 0;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace fathom::jinja
