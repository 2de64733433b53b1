#pragma once

#include <string>
#include <unordered_map>

#include "text/jinja/value.h"

namespace fathom::jinja {

// The variables of a template, of a loop's turn, of a macro's call. Reading looks outwards; setting
// stays here.
class Scope : public Object {
 public:
  void set_parent(Scope* parent) { parent_ = parent; }

  // Null when there is none here or further out.
  const Value* Find(const std::string& name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent_) {
      const auto place = scope->variables_.find(name);
      if (place != scope->variables_.end()) return &place->second;
    }
    return nullptr;
  }
  void Set(const std::string& name, const Value& value) { variables_[name] = value; }

  // A macro was defined in here, and may be called when the block around it is over.
  void Capture() {
    for (Scope* scope = this; scope != nullptr && !scope->captured_; scope = scope->parent_) {
      scope->captured_ = true;
    }
  }
  bool captured() const { return captured_; }
  void Clear() { variables_.clear(); }

 private:
  Scope* parent_ = nullptr;
  bool captured_ = false;
  std::unordered_map<std::string, Value> variables_;
};

}  // namespace fathom::jinja
