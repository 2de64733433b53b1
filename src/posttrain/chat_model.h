#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "model/config.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer.h"

namespace fathom {

// A model that post-training goes on from: how it is talked to. Its weights are read elsewhere.
struct ChatModel {
  ModelConfig config;
  Tokenizer tokenizer;
  ChatTemplate chat;
  std::vector<int32_t> stop_ids;  // any of them ends an answer

  // A model directory or GGUF file. Throws Error when it has no tokenizer or no chat template.
  static ChatModel Open(const std::filesystem::path& path);
  // The same of a model that writes; Error for one that scores.
  static ChatModel OpenWriter(const std::filesystem::path& path);
};

}  // namespace fathom
