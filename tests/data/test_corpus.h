#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/temporary_directory.h"
#include "data/documents.h"
#include "data/token_store.h"

namespace fathom {

inline void PutFile(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

struct ReadDocument {
  std::string name, text;
  bool operator==(const ReadDocument&) const = default;
};

inline std::vector<ReadDocument> ReadAll(const SourceSpec& spec, ReadStatistics* statistics = {}) {
  std::vector<ReadDocument> documents;
  const ReadStatistics last =
      ForEachDocument(spec, ListFiles(spec), [&](const Document& document, const ReadStatistics&) {
        documents.push_back({std::string(document.name), std::string(document.text)});
      });
  if (statistics != nullptr) *statistics = last;
  return documents;
}

// A store of these documents below `stem`; a document of n tokens counts as 3 n bytes.
inline std::shared_ptr<const TokenStore> MakeStore(
    const std::filesystem::path& stem, const std::vector<std::vector<int32_t>>& documents,
    int64_t vocabulary) {
  TokenStoreWriter writer(stem, vocabulary);
  for (const auto& document : documents) {
    writer.Append(document);
    writer.EndDocument(3 * document.size());
  }
  return std::make_shared<TokenStore>(stem, writer.Finish(), vocabulary);
}

// `count` documents of 1 to `longest` tokens, in which no token occurs twice: ids go up from
// `first` through all documents.
inline std::vector<std::vector<int32_t>> DistinctDocuments(int count, int longest, int32_t first) {
  std::vector<std::vector<int32_t>> documents;
  for (int d = 0; d < count; ++d) {
    auto& document = documents.emplace_back();
    for (int i = 0; i <= d * 7 % longest; ++i) document.push_back(first++);
  }
  return documents;
}

}  // namespace fathom
