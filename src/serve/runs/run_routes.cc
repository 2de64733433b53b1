#include "serve/runs/run_routes.h"

#include <charconv>
#include <chrono>
#include <map>
#include <string>
#include <utility>

namespace fathom {
namespace {

// Of a query whose values need no escapes: "run=1f&steps=3".
class Query {
 public:
  explicit Query(std::string_view text) {
    while (!text.empty()) {
      const std::string_view pair = text.substr(0, text.find('&'));
      text.remove_prefix(std::min(text.size(), pair.size() + 1));
      const size_t equals = std::min(pair.find('='), pair.size());
      values_[pair.substr(0, equals)] = pair.substr(std::min(equals + 1, pair.size()));
    }
  }
  bool Has(std::string_view name) const { return values_.count(name) > 0; }
  std::string_view Text(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string_view() : found->second;
  }
  // 0 for what is no number.
  int64_t Number(std::string_view name) const {
    const std::string_view text = Text(name);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && number > 0 ? number : 0;
  }

 private:
  std::map<std::string_view, std::string_view> values_;
};

// What is new each time.
WebResponse Fresh(std::string type, std::string body) {
  return {.type = std::move(type),
          .body = std::move(body),
          .headers = {{"Cache-Control", "no-store"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Cross-Origin-Resource-Policy", "same-origin"}}};
}
WebResponse FreshJson(std::string body) { return Fresh("application/json", std::move(body)); }

WebResponse NoSuchRun() { return WebError(404, "there is no such run", "run"); }

double SecondsSince1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

}  // namespace

void AddRunRoutes(const std::shared_ptr<RunLibrary>& library, WebRouter& router) {
  router.Add("GET", "/api/runs", [library](const WebRequest&) {
    return FreshJson(library->ListJson(SecondsSince1970()));
  });
  router.Add("GET", "/api/news", [library](const WebRequest& request) {
    const Query query(request.query);
    const auto run = library->Open(query.Text("run"));
    if (run == nullptr) return NoSuchRun();
    const auto count = [&](std::string_view name) {
      return static_cast<size_t>(query.Number(name));
    };
    return FreshJson(run->NewsJson({.epoch = std::string(query.Text("epoch")),
                                    .steps = count("steps"),
                                    .validations = count("validations"),
                                    .samples = count("samples"),
                                    .loads = count("loads"),
                                    .wants_loads = query.Has("loads")}));
  });
  router.Add("GET", "/api/samples", [library](const WebRequest& request) {
    const Query query(request.query);
    const auto run = library->Open(query.Text("run"));
    if (run == nullptr) return NoSuchRun();
    return FreshJson(run->SamplesJson(query.Number("step")));
  });
  router.Add("GET", "/api/config", [library](const WebRequest& request) {
    auto config = library->Config(Query(request.query).Text("run"));
    if (!config) return NoSuchRun();
    return Fresh("text/plain; charset=utf-8", std::move(*config));
  });
}

}  // namespace fathom
