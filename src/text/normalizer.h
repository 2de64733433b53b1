#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Unicode normalization before anything is split: a sequence of forms (most often NFC alone, or
// none). The result is that of Hugging Face `tokenizers`, whose normalizers know Unicode 9:
// characters that became composable or reorderable later stay as they are.
//
// Safe to use from several threads at once.
class Normalizer {
 public:
  enum class Form { kNfc, kNfd, kNfkc, kNfkd };

  Normalizer() = default;
  explicit Normalizer(std::vector<Form> forms) : forms_(std::move(forms)) {}

  const std::vector<Form>& forms() const { return forms_; }

  // `text`, which has to be valid UTF-8, normalized: `text` itself where nothing changes, otherwise
  // `buffer`. Text that is in the form already costs one look at each character.
  std::string_view Apply(std::string_view text, std::string& buffer) const;

 private:
  std::vector<Form> forms_;
};

}  // namespace fathom
