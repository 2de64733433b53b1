#include "serve/openai/embedding_generation.h"

#include <openssl/evp.h>

#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace fathom {
namespace {

using nlohmann::ordered_json;

std::vector<float> Normalized(std::vector<float> values) {
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * value;
  const double length = std::sqrt(squares);
  for (float& value : values) value = static_cast<float>(length > 0 ? value / length : 0);
  return values;
}

}  // namespace

EmbeddingGeneration::EmbeddingGeneration(const ServedModel& model, const EmbeddingRequest& request,
                                         const std::string& request_id, int64_t prompt_tokens)
    : Generation(model, request, "embd-" + request_id, request.inputs.size(), prompt_tokens),
      base64_(request.base64),
      embeddings_(request.inputs.size()) {}

bool EmbeddingGeneration::OnEvent(size_t text, const EngineEvent& event) {
  if (event.finish == FinishReason::kFailed) {
    Fail(ApiError(500, event.error));
    return false;
  }
  Count(text, event);
  embeddings_[text] = Normalized(event.hidden);
  EndChoice();
  return false;
}

std::string EmbeddingGeneration::WholeAnswer() {
  ordered_json data = ordered_json::array();
  for (size_t i = 0; i < embeddings_.size(); ++i) {
    ordered_json values =
        base64_ ? ordered_json(Base64(embeddings_[i])) : ordered_json(embeddings_[i]);
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", std::move(values)}});
  }
  ordered_json usage = {{"prompt_tokens", prompt_tokens()},
                        {"total_tokens", prompt_tokens()},
                        {"prompt_tokens_details", {{"cached_tokens", tokens().cache_hit}}}};
  AddCost(usage);
  return JsonText({{"object", "list"},
                   {"data", std::move(data)},
                   {"model", model_.name},
                   {"usage", std::move(usage)}});
}

std::string Base64(const std::vector<float>& values) {
  static_assert(std::endian::native == std::endian::little);
  const size_t bytes = values.size() * sizeof(float);
  std::string text((bytes + 2) / 3 * 4 + 1, '\0');  // and a zero
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(values.data()),
                                     static_cast<int>(bytes));
  text.resize(static_cast<size_t>(length));
  return text;
}

}  // namespace fathom
