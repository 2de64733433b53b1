#pragma once

#include <string>
#include <string_view>

namespace fathom {

// The text of a C-like source file without its licence: of the comments before the first line of
// code, everything from the first paragraph that speaks of copyright, licence or warranty to the
// last one is taken out, with the blank lines after it. A comment between "/*" and "*/" is one
// paragraph; "//" lines are cut into paragraphs by blank ones. What stands before (a title) and
// after stays, and a file whose first comments hold no such words comes back whole.
std::string StripLicenseHeader(std::string_view text);

}  // namespace fathom
