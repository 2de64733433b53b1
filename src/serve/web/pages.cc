#include "serve/web/pages.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "serve/web/web_files.h"

namespace fathom {
namespace {

std::string TypeOf(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".woff2")) return "font/woff2";
  FATHOM_CHECK(name.ends_with(".js"), "of what type is {}?", name);
  return "text/javascript; charset=utf-8";
}

// What this build serves under that name, unless the browser has it already.
WebHandler FileHandler(const WebFile& file) {
  return [&file, tag = fmt::format("\"{:016x}\"", HashOf(file.bytes))](const WebRequest& request) {
    const bool known = request.Header("If-None-Match").find(tag) != std::string_view::npos;
    WebResponse response = PageFile(file.name, known ? "" : std::string(file.bytes));
    if (known) response.status = 304;
    response.headers.emplace_back("ETag", tag);
    return response;
  };
}

}  // namespace

WebResponse PageFile(std::string_view name, std::string text) {
  return {.type = TypeOf(name),
          .body = std::move(text),
          .headers = {{"Content-Security-Policy",
                       "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
                       "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action "
                       "'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
                       "trusted-types dompurify"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Opener-Policy", "same-origin"},
                      {"Cross-Origin-Resource-Policy", "same-origin"},
                      {"Cache-Control", "no-cache"}}};
}

void AddPages(std::string_view folder, WebRouter& router) {
  const std::string prefix = std::string(folder) + "/";
  for (const WebFile& file : WebFiles()) {
    std::string_view name = file.name;
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
    } else if (!name.starts_with("shared/") && !name.starts_with("libraries/")) {
      continue;
    }
    router.Add("GET", name == "index.html" ? "/" : fmt::format("/{}", name), FileHandler(file),
               WebAccess::kOpen);
  }
}

}  // namespace fathom
