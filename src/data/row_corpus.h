#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "data/source.h"
#include "data/token_store.h"

namespace fathom {

// What becomes of one line of a source.
struct EncodedRow {
  struct Document {
    std::vector<int32_t> ids;  // as the store keeps them
    uint64_t bytes = 0;        // what the store counts as the document's bytes
  };
  std::vector<Document> documents;
  uint64_t too_long = 0;  // that were dropped, or cut
};

// Turns lines into documents of a store.
class RowEncoder {
 public:
  virtual ~RowEncoder() = default;
  // Throws Error with the path of what is wrong. Called from several threads at once.
  virtual EncodedRow Encode(const JsonValue& row) const = 0;
  // Ids of the store are below it.
  virtual int64_t store_vocabulary() const = 0;
};

struct RowCorpusOptions {
  double held_out_fraction = 0;  // of the rows, by file and line (IsHeldOut)
  uint64_t seed = 0;
};

// The rows of a source, those to train on and those held out.
struct RowCorpus {
  std::string name;
  std::shared_ptr<const TokenStore> train, held_out;
  uint64_t rows = 0;
  uint64_t too_long = 0;  // EncodedRow's
};

// Encodes the lines of the JSON-lines files of a source, on all threads of the pool, into
// `directory`, which is made anew. work: "reading conversations". Throws Error for sources that
// cannot be read, and for a line that the encoder refuses ("chat.jsonl:17: ..."; counted instead
// where the source says so).
RowCorpus MakeRowCorpus(const SourceSpec& spec, const RowEncoder& encoder,
                        const RowCorpusOptions& options, const std::filesystem::path& directory,
                        const std::string& work, ThreadPool& pool, bool quiet);

}  // namespace fathom
