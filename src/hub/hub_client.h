#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "hub/http_client.h"
#include "hub/listing.h"

namespace fathom {

inline constexpr std::string_view kDefaultHub = "https://huggingface.co";

struct HubOptions {
  std::string endpoint{kDefaultHub};
  std::string repository;  // ORG/NAME
  std::string revision = "main";
  HttpOptions http;
  // Tries in a row that bring nothing new before a request is given up.
  int attempts = 6;
  // Told why another try is needed; logs it by default.
  std::function<void(const std::string& why)> report = [](const std::string& why) {
    spdlog::warn(why);
  };
  // Waits before it; empty: sleeps until http.cancelled.
  std::function<void(double seconds)> wait;
};

// Counts tries, and waits between them: as long as the server asks, or 1, 2, 4, ... seconds up to
// 60, each times a random factor of 0.5 to 1 (so that many clients do not come back at once).
class Retry {
 public:
  explicit Retry(const HubOptions& options) : options_(options) {}

  // The last try brought something: counting begins anew.
  void Succeeded() { failures_ = 0; }
  // Waits, or throws Error(where, what) when there were enough tries or the server asks for more
  // than five minutes.
  void Failed(std::string_view where, std::string_view what,
              std::optional<double> retry_after_seconds);

 private:
  const HubOptions& options_;
  int failures_ = 0;
};

// One model of a hub that speaks the Hugging Face API. Used by one thread at a time.
class HubClient {
 public:
  // Throws UsageError when endpoint or repository are none.
  explicit HubClient(HubOptions options);

  // GET /api/models/{repository}/revision/{revision}?blobs=true, tried again when the hub is busy.
  // Throws Error with a hint for what a user can change: a name, a token, terms to accept.
  HubListing List();

  // Puts the bytes of a file, from `first_byte` on, into `sink`: one try. The answer is 2xx, or
  // 416, or one that another try may better: a `failure` that says why (429 and 5xx included).
  // Anything else, another commit or other content than the listing promised included, is an Error.
  HttpResponse Get(const std::string& commit, const HubFile& file, int64_t first_byte,
                   HttpClient::Sink sink);

  const HubOptions& options() const { return options_; }
  // "ORG/NAME", for messages.
  const std::string& name() const { return options_.repository; }

 private:
  // Sets `failure` where another try may help, throws where not.
  void Judge(HttpResponse& response, std::string_view where) const;

  HubOptions options_;
  HttpClient http_;
};

}  // namespace fathom
