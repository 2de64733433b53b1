#pragma once

#include <string>
#include <string_view>

#include "serve/http/router.h"

namespace fathom {

// Serves web/FOLDER at the root, index.html as "/" and the others under their names, and what pages
// share: "/shared/..." and "/libraries/...". They are open: nothing in them is secret. Browsers
// keep them, and ask each time whether they are still the same (ETag).
void AddPages(std::string_view folder, WebRouter& router);

// A file of a page, by its name's ending, with headers that let the page use what this server
// serves and nothing else: no other host, no inline script or style, no markup out of strings but
// the sanitiser's, no frame around it.
WebResponse PageFile(std::string_view name, std::string text);

}  // namespace fathom
