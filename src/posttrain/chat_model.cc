#include "posttrain/chat_model.h"

#include <algorithm>

#include "base/error.h"
#include "formats/model_source.h"

namespace fathom {

ChatModel ChatModel::Open(const std::filesystem::path& path) {
  const auto source = ModelSource::Open(path);
  auto tokenizer = source->LoadTokenizer();
  if (!tokenizer) {
    throw Error(path.string(), "comes without a tokenizer", "put its tokenizer.json beside it");
  }
  ChatTemplate chat = ChatTemplate::Load(
      [&](std::string_view name) { return source->SideFile(name); }, path.string(), &*tokenizer);
  std::vector<int32_t> stops = chat.StopIds(*tokenizer);
  for (const int64_t id : source->config().eos_token_ids) {
    const auto stop = static_cast<int32_t>(id);
    if (std::find(stops.begin(), stops.end(), stop) == stops.end()) stops.push_back(stop);
  }
  return {source->config(), *std::move(tokenizer), std::move(chat), std::move(stops)};
}

ChatModel ChatModel::OpenWriter(const std::filesystem::path& path) {
  ChatModel model = Open(path);
  model.config.RequireHead(ModelHead::kLanguage, path.string());
  return model;
}

}  // namespace fathom
