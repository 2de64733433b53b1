#pragma once

#include <string>
#include <string_view>

#include "serve/http/router.h"

namespace fathom {

// Serves web/FOLDER at the root: index.html as "/", the others under their names.
void AddPages(std::string_view folder, WebRouter& router);

// A file of a page, by its name's ending, with headers that let the page use what this server
// serves and nothing else: no other host, no inline script or style, no frame around it.
WebResponse PageFile(std::string_view name, std::string text);

}  // namespace fathom
