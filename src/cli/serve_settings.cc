#include "cli/serve_settings.h"

#include <cmath>

#include "base/file.h"
#include "base/toml/toml_reader.h"

namespace fathom {

ServeSettings ServeSettings::Read(const std::filesystem::path& path) {
  ServeSettings settings;
  if (path.empty()) return settings;
  const toml::table parsed = ParseToml(ReadFile(path), path.string(), {});
  TomlTable root(&parsed, path.string());
  TomlTable prices = root.Table("prices");
  const auto price = [&prices](const char* key) {
    constexpr double kDollar = 1e6;
    return static_cast<MicroDollars>(std::llround(
        kDollar * prices.Number(key, 0, 0, static_cast<double>(Prices::kMost) / kDollar)));
  };
  settings.prices = {.cache_hit = price("cache_hit"),
                     .cache_miss = price("cache_miss"),
                     .output = price("output")};
  prices.Finish();
  TomlTable admission = root.Table("admission");
  settings.first_token =
      std::chrono::duration<double>(admission.Number("first_token_seconds", 0, 0, 1e6));
  admission.Finish();
  root.Finish();
  return settings;
}

}  // namespace fathom
