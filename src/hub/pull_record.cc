#include "hub/pull_record.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace fathom {

PullRecord PullRecord::Load(const std::filesystem::path& directory) {
  PullRecord record;
  const std::filesystem::path path = directory / kName;
  if (!std::filesystem::exists(path)) return record;
  const JsonDocument document(ReadFile(path), path.string());
  record.repository = document.root().At("repository").String();
  record.commit = document.root().At("commit").String();
  const auto checksum = [](const JsonValue& value) {
    return Checksum::Parse(value.String(), value.path());
  };
  for (const auto& [name, file] : document.root().At("files").Object()) {
    record.files.emplace(name, File{checksum(file.At("checksum")), file.At("size").Int(),
                                    file.At("modified").Int()});
  }
  for (const auto& [name, part] : document.root().At("parts").Object()) {
    record.parts.emplace(name, checksum(part));
  }
  return record;
}

void PullRecord::Save(const std::filesystem::path& directory) const {
  nlohmann::ordered_json json = {{"repository", repository},
                                 {"commit", commit},
                                 {"files", nlohmann::ordered_json::object()},
                                 {"parts", nlohmann::ordered_json::object()}};
  for (const auto& [name, file] : files) {
    json["files"][name] = {
        {"checksum", file.checksum.ToString()}, {"size", file.size}, {"modified", file.modified}};
  }
  for (const auto& [name, checksum] : parts) json["parts"][name] = checksum.ToString();
  WriteFileAtomically(directory / kName, json.dump(1) + "\n");
}

}  // namespace fathom
