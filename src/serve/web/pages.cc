#include "serve/web/pages.h"

#include "base/error.h"
#include "serve/web/web_files.h"

namespace fathom {
namespace {

std::string TypeOf(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  FATHOM_CHECK(name.ends_with(".js"), "of what type is {}?", name);
  return "text/javascript; charset=utf-8";
}

}  // namespace

WebResponse PageFile(std::string_view name, std::string text) {
  return {.type = TypeOf(name),
          .body = std::move(text),
          .headers = {{"Content-Security-Policy",
                       "default-src 'none'; script-src 'self'; style-src 'self'; connect-src "
                       "'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
                       "frame-ancestors 'none'"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Opener-Policy", "same-origin"},
                      {"Cross-Origin-Resource-Policy", "same-origin"},
                      {"Cache-Control", "no-cache"}}};
}

void AddPages(std::string_view folder, WebRouter& router) {
  const std::string prefix = std::string(folder) + "/";
  for (const WebFile& file : WebFiles()) {
    if (!file.name.starts_with(prefix)) continue;
    const std::string name(file.name.substr(prefix.size()));
    const WebHandler handler = [&file](const WebRequest&) {
      return PageFile(file.name, std::string(file.text));
    };
    router.Add("GET", name == "index.html" ? "/" : "/" + name, handler);
  }
}

}  // namespace fathom
