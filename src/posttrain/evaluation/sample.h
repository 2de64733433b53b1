#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/append_file.h"
#include "base/file_lock.h"

namespace fathom {

// One answer to one problem, judged.
struct Sample {
  std::string problem;  // its id
  int64_t index = 0;    // which of the answers to it
  int64_t budget = 0;   // tokens of thought after which an answer was forced; 0: none was
  std::string text;     // all that was written
  int64_t tokens = 0;   // written
  int64_t thinking_tokens = 0;
  std::string finish;  // "stop", "length"
  std::optional<std::string> answer;
  double score = 0;               // 1: right; whatever an external verifier said
  std::string status = "scored";  // Name(RewardStatus)
  std::vector<int32_t> ids;       // written, where budgets want them
  // Of multiple choice by probabilities: ChoiceScores.
  std::vector<double> logprobs;
  std::vector<int64_t> bytes;
};

// The samples of an evaluation in a file, a line of JSON each behind one that says what was asked
// for: nothing that was computed is lost, and the same command goes on where it was.
class SampleLog {
 public:
  // path: empty keeps nothing. settings: what decides the samples, as an object. Reads what an
  // existing file holds; a line that a crash cut off is taken away. Throws Error when the file was
  // made with other settings (and names the first one), and when it is none of ours.
  SampleLog(std::filesystem::path path, const nlohmann::ordered_json& settings);

  // Null where there is none.
  const Sample* Find(const std::string& problem, int64_t index, int64_t budget) const;
  // Keeps and writes it.
  void Add(Sample sample);

  size_t size() const { return samples_.size(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  using Key = std::tuple<std::string, int64_t, int64_t>;

  void Read(const nlohmann::ordered_json& settings);

  std::filesystem::path path_;
  std::map<Key, Sample> samples_;
  std::optional<FileLock> lock_;
  std::unique_ptr<AppendFile> file_;
};

}  // namespace fathom
