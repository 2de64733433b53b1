// A GGUF file of any content is a model or an Error, and its tensors, tokenizer and small files can
// be read.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "formats/gguf_model.h"
#include "formats/gguf_tokenizer.h"
#include "fuzz/memory_file.h"

namespace {

template <typename Use>
void Try(Use use) {
  try {
    use();
  } catch (const fathom::Error&) {
  }
}

void ReadSome(const fathom::StoredTensor& tensor) {
  constexpr int64_t kMost = 4096;
  const int64_t rows = tensor.shape()[0], row = tensor.shape().elements() / rows;
  if (row > kMost) return;
  const int64_t count = std::min(rows, kMost / row);
  std::vector<float> values(static_cast<size_t>(count * row));
  const fathom::Shape shape =
      tensor.shape().rank() == 1 ? fathom::Shape({count}) : fathom::Shape({count, row});
  for (const int64_t begin : {int64_t{0}, rows - count})
    tensor.Read(begin, fathom::Tensor(values.data(), fathom::DType::kF32, shape));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fathom::fuzz::MemoryFile memory(data, size);
  Try([&] {
    const fathom::GgufFile file(memory.path());
    for (const auto& entry : file.metadata().values()) {
      const fathom::GgufValue& value = entry.second;
      Try([&] { (void)value.Int(INT64_MIN, INT64_MAX); });
      Try([&] { (void)value.Number(); });
      Try([&] { (void)value.Bool(); });
      Try([&] { (void)value.String(); });
      Try([&] { (void)value.Strings(); });
      Try([&] { (void)value.Ints(); });
    }
    Try([&] {
      if (const auto tokenizer = fathom::GgufTokenizer(file.metadata()))
        (void)tokenizer->Encode("One 23 <|end|> \xe4\xb8\x96\n");
    });
  });
  Try([&] {
    const fathom::GgufModel model(memory.path());
    for (const std::string& name : model.names()) ReadSome(*model.Find(name));
    for (const char* name : {"tokenizer_config.json", "generation_config.json"})
      Try([&] { (void)model.SideFile(name); });
  });
  return 0;
}
