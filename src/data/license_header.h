#pragma once

#include <string_view>

namespace fathom {

// The text of a C-like source file without its licence: of the comments before the first line of
// code, everything up to and including the last one that speaks of copyright, licence or warranty
// is taken off, with the blank lines after it. A file whose first comments hold no such words comes
// back whole. The result lies inside `text`.
std::string_view StripLicenseHeader(std::string_view text);

}  // namespace fathom
