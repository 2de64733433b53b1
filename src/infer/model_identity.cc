#include "infer/model_identity.h"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "base/build_id.h"
#include "base/message_digest.h"
#include "formats/adapter_directory.h"
#include "formats/weights_fingerprint.h"
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
  if (!model.adapter().empty()) {
    AddFiles(model.adapter(), digest);
    AddFile(model.adapter() / kAdapterConfigFile, digest);
  }
  AddWeights(model.mapped().source(), kSampledTensors, digest);
  return ToHex(digest.Finish());
}

}  // namespace fathom
