#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/adapter_directory.h"
#include "formats/model_source.h"

namespace fathom {

// A model with an adapter merged into it: W + scale B A in place of every W that has one, row by
// row as it is read, in the types that the files have. The very bits that products are made with
// where the adapter is applied to the model as it is loaded (Linear::Pack), once they are rounded
// to the type that those are packed in. For conversion.
class AdaptedSource : public ModelSource {
 public:
  // Both outlive it; the adapter was checked against the model.
  AdaptedSource(const ModelSource& base, const AdapterDirectory& adapter);

  std::vector<std::string> names() const override { return base_.names(); }
  const StoredTensor* Find(std::string_view name) const override;
  std::optional<Tokenizer> LoadTokenizer() const override { return base_.LoadTokenizer(); }
  std::optional<std::string> SideFile(std::string_view name) const override {
    return base_.SideFile(name);
  }

 private:
  const ModelSource& base_;
  std::map<std::string, std::unique_ptr<StoredTensor>, std::less<>> merged_;
};

}  // namespace fathom
