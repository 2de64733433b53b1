#include "formats/weights_fingerprint.h"

#include <algorithm>
#include <vector>

#include "base/hash.h"

namespace fathom {

void AddWeights(const ModelSource& source, size_t sampled, MessageDigest& digest) {
  std::vector<std::string> names = source.names();
  std::ranges::sort(names);
  const size_t stride = (names.size() + sampled - 1) / sampled;
  for (size_t i = 0; i < names.size(); ++i) {
    const StoredTensor& tensor = *source.Find(names[i]);
    digest.UpdateField(fmt::format("{} {} {}", names[i], tensor.type(), tensor.shape().ToString()));
    const Shape& shape = tensor.shape();
    if (i % stride != 0 || shape.rank() == 0 || shape.elements() == 0) continue;
    // A vector is read from its first element on.
    const int64_t width = shape.rank() == 1 ? shape[0] : shape.elements() / shape[0];
    const int64_t row =
        shape.rank() == 1
            ? 0
            : static_cast<int64_t>(HashOf(names[i]) % static_cast<uint64_t>(shape[0]));
    std::vector<float> values(static_cast<size_t>(width));
    const Shape read = shape.rank() == 1 ? Shape({width}) : Shape({1, width});
    tensor.Read(row, Tensor(values.data(), DType::kF32, read));
    digest.Update(values.data(), values.size() * sizeof(float));
  }
}

std::string WeightsFingerprint(const ModelSource& source) {
  MessageDigest digest(MessageDigest::Kind::kSha256);
  AddWeights(source, std::max<size_t>(1, source.names().size()), digest);
  return ToHex(digest.Finish());
}

}  // namespace fathom
