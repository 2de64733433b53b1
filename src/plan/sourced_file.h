#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "plan/built_in_data.h"
#include "plan/sourced_value.h"

namespace fathom {

// A number of a table of a data file, and what it has to be within.
struct SourcedField {
  const char* key;
  SourcedValue* value;
  double smallest, largest;
};

// Reads `fields`, all of which the built-in file (is_base) must have; any other key is an error.
inline void ReadSourcedFields(TomlTable table, bool is_base,
                              std::initializer_list<SourcedField> fields) {
  for (const SourcedField& field : fields) {
    if (is_base) table.Require(field.key);
    *field.value = *ReadSourced(table, field.key, field.smallest, field.largest, *field.value);
  }
  table.Finish();
}

// read(file, is_base) for the built-in file of that name, and then for the one over it.
template <typename F>
void ReadSourcedFiles(const char* name, const std::optional<std::filesystem::path>& over,
                      const F& read) {
  const auto parse = [&](std::string_view text, const std::string& where, bool is_base) {
    const toml::table parsed = ParseToml(text, where, {});
    TomlTable file(&parsed, where);
    read(file, is_base);
    file.Finish();
  };
  parse(BuiltInData(name), std::string("built-in ") + name + ".toml", true);
  if (over) parse(ReadFile(*over), over->string(), false);
}

}  // namespace fathom
