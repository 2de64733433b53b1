#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "posttrain/r1/pipeline_config.h"

namespace fathom {

// OUTPUT/pipeline.json: the stages that are done.
class PipelineRecord {
 public:
  // Reads what is there; throws Error when it is none of ours.
  explicit PipelineRecord(std::filesystem::path path);

  // Whether the stage was done, with this configuration, and what it made is there. Throws Error
  // when it was done with another configuration, or from an input that was made anew since.
  bool IsDone(const PipelineStage& stage, const PipelineConfig& config) const;
  // Seconds that it took; 0 when it is not done.
  double Seconds(const std::string& name) const;
  // Keeps it on the disk.
  void SetDone(const PipelineStage& stage, const PipelineConfig& config, double seconds);

 private:
  struct Done {
    std::string configuration;  // a hash
    double seconds = 0;
    // Its number among all that were ever done in this directory, and those of the stages whose
    // models or files it read.
    int64_t number = 0;
    std::map<std::string, int64_t> read;
  };

  std::filesystem::path path_;
  std::map<std::string, Done> done_;
  int64_t next_ = 1;
};

}  // namespace fathom
