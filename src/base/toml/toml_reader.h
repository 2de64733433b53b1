#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// The table of a TOML file that is read key by key. Whatever was not asked for by the time Finish
// is called is an Error that names the nearest key that was.
class TomlTable {
 public:
  // path: of this table, for errors ("run.toml: [optimizer]"); table may be null: all keys are
  // absent.
  TomlTable(const toml::table* table, std::string where, std::string prefix = {});

  std::string String(std::string_view key, std::string_view fallback);
  std::optional<std::string> OptionalString(std::string_view key);
  // Error when the value is not in [smallest, largest].
  int64_t Int(std::string_view key, int64_t fallback, int64_t smallest,
              int64_t largest = int64_t{1} << 53);
  double Number(std::string_view key, double fallback, double smallest, double largest);
  bool Bool(std::string_view key, bool fallback);
  std::vector<std::string> Strings(std::string_view key, const std::vector<std::string>& fallback);
  // One of `allowed`.
  std::string Choice(std::string_view key, std::string_view fallback,
                     const std::vector<std::string>& allowed);
  TomlTable Table(std::string_view key);
  // An array of tables ([[key]]); empty when absent.
  std::vector<TomlTable> Tables(std::string_view key);

  bool Has(std::string_view key) { return Find(key) != nullptr; }
  // Keys of this table in the order of their names, for tables whose keys are names of things.
  std::vector<std::string> Names() const;

  // Throws Error when the key is absent.
  void Require(std::string_view key);

  // "run.toml: optimizer.lr"
  std::string PathOf(std::string_view key) const;
  // Throws Error for a key that nobody asked for.
  void Finish() const;

 private:
  const toml::node* Find(std::string_view key);
  [[noreturn]] void WrongKind(std::string_view key, std::string_view expected) const;

  const toml::table* table_;
  std::string where_, prefix_;
  std::set<std::string, std::less<>> known_;
};

// Parses a file's text; a syntax error is an Error with file, line and column. Each override is
// "section.key=value" or "list[0].key=value", of a list that is there, with the value in TOML (a
// bare word is taken as a string) and replaces what the file says.
toml::table ParseToml(std::string_view text, std::string_view where,
                      const std::vector<std::string>& overrides);

}  // namespace fathom
