#include "infer/model_identity.h"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "base/build_id.h"
#include "base/hash.h"
#include "base/message_digest.h"
#include "ops/backend.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr size_t kSampledTensors = 256;

void AddFile(const fs::path& path, MessageDigest& digest) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return;
  digest.UpdateField(fmt::format("{} {} {}.{}", path.filename().string(), info.st_size,
                                 info.st_mtim.tv_sec, info.st_mtim.tv_nsec));
}

void AddFiles(const fs::path& path, MessageDigest& digest) {
  if (!fs::is_directory(path)) return AddFile(path, digest);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) AddFile(file, digest);
}

void AddTensors(const ModelSource& source, MessageDigest& digest) {
  std::vector<std::string> names = source.names();
  std::ranges::sort(names);
  const size_t stride = (names.size() + kSampledTensors - 1) / kSampledTensors;
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

}  // namespace

std::string ModelIdentity(const LoadedModel& model, const Backend& backend, CacheFormat format) {
  MessageDigest digest(MessageDigest::Kind::kSha256);
  digest.UpdateField(BuildId());
  digest.UpdateField(backend.name());
  digest.UpdateField(model.config().ToJson("any"));
  const Precision& precision = model.precision();
  for (const DType dtype : {precision.sum, precision.act, precision.projection}) {
    digest.UpdateField(Name(dtype));
  }
  digest.UpdateField(Name(format));
  AddFiles(model.directory(), digest);
  AddTensors(model.mapped().source(), digest);
  return ToHex(digest.Finish());
}

}  // namespace fathom
