#include "hub/hub_client.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace fathom {
namespace {

constexpr size_t kLargestListing = 64 << 20;
constexpr double kFirstWait = 1, kLongestWait = 60, kMostPatience = 300;

HubOptions Checked(HubOptions options) {
  std::string& endpoint = options.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const bool is_web = endpoint.starts_with("https://") || endpoint.starts_with("http://");
  if (!is_web || endpoint.find_first_of("?#@ ") != std::string::npos) {
    throw UsageError("--endpoint", fmt::format("'{}' is not the address of a hub", endpoint),
                     fmt::format("it looks like {}", kDefaultHub));
  }
  const std::string& name = options.repository;
  const auto is_allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
           c == '/';
  };
  const bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), is_allowed) &&
                       std::count(name.begin(), name.end(), '/') <= 1 && name.front() != '/' &&
                       name.back() != '/' && name.find("..") == std::string::npos &&
                       name.front() != '.' && name.find("/.") == std::string::npos;
  if (!is_name) {
    throw UsageError(fmt::format("'{}'", name), "is not the name of a model",
                     "it looks like deepseek-ai/DeepSeek-V2-Lite");
  }
  if (options.revision.empty()) throw UsageError("--revision", "is empty");
  return options;
}

// What the server says about an error, as much as a line takes; empty when it says nothing.
std::string_view ServerMessage(const HttpResponse& response) {
  constexpr size_t kMost = 300;
  return response.Header("x-error-message").substr(0, kMost);
}

// A header's entity tag without its quotes.
std::string_view Tag(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"')
    tag = tag.substr(1, tag.size() - 2);
  return tag;
}

// The hub says with its answer once more what the file is, also where it redirects to the bytes.
// (That, and a commit instead of a branch in the URL, is what makes it safe to go on with a part:
// the entity tags of the hosts that redirects lead to are of no use for If-Range, they differ from
// one host to the next.)
void CheckIdentity(const HttpResponse& head, const std::string& commit, const HubFile& file,
                   std::string_view where) {
  const std::string_view served = head.OriginHeader("x-repo-commit");
  const std::string_view tag = Tag(head.OriginHeader("x-linked-etag"));
  const std::string_view size = head.OriginHeader("x-linked-size");
  const bool is_large = file.checksum.kind == Checksum::Kind::kSha256;
  if ((!served.empty() && served != commit) ||
      (is_large && !tag.empty() && tag != file.checksum.hex) ||
      (is_large && !size.empty() && size != std::to_string(file.size))) {
    throw Error(where, "the hub serves other content than it lists for this commit",
                "try again later or at another --endpoint");
  }
}

void Sleep(double seconds, const HttpOptions& options) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    if (options.cancelled()) throw Cancelled();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

void Retry::Failed(std::string_view where, std::string_view what,
                   std::optional<double> retry_after_seconds) {
  if (++failures_ >= options_.attempts) {
    throw Error(where, fmt::format("{} ({} tries)", what, failures_),
                "the same command goes on where this one stopped");
  }
  if (retry_after_seconds && *retry_after_seconds > kMostPatience) {
    throw Error(where,
                fmt::format("{}; the hub asks to come back in {}", what,
                            FormatDuration(*retry_after_seconds)),
                "the same command goes on where this one stopped");
  }
  thread_local std::mt19937_64 random{std::random_device{}()};
  const double backoff = std::min(kLongestWait, kFirstWait * std::exp2(failures_ - 1)) *
                         std::uniform_real_distribution<double>(0.5, 1)(random);
  const double seconds = retry_after_seconds.value_or(backoff);
  options_.report(fmt::format("{}: {}; trying again in {:.1f} s", where, what, seconds));
  if (options_.wait) {
    options_.wait(seconds);
  } else {
    Sleep(seconds, options_.http);
  }
}

HubClient::HubClient(HubOptions options)
    : options_(Checked(std::move(options))), http_(options_.http) {}

void HubClient::Judge(HttpResponse& response, std::string_view where) const {
  if (!response.failure.empty()) return;
  const int status = response.status;
  if (status / 100 == 2 || status == 416) return;
  const std::string_view said = ServerMessage(response);
  const std::string answer =
      fmt::format("the hub answers {}{}{}", status, said.empty() ? "" : ": ", said);
  if (status == 408 || status == 425 || status == 429 || status / 100 == 5) {
    response.failure = answer;
    return;
  }
  const std::string_view code = response.Header("x-error-code");
  const std::string page = fmt::format("{}/{}", options_.endpoint, options_.repository);
  const bool has_token = !options_.http.token.empty();
  constexpr std::string_view kGiveToken = "set HF_TOKEN or give --token-file";
  if (code == "RevisionNotFound") {
    throw Error(where, fmt::format("has no revision '{}'", options_.revision),
                "branches, tags and commits are revisions; most models have main");
  }
  if (code == "GatedRepo" || (status == 403 && code.empty() && said.empty())) {
    throw Error(where, fmt::format("is gated: {}", answer),
                has_token ? fmt::format("accept its terms at {} with the account of this token, "
                                        "and check that the token may read it",
                                        page)
                          : fmt::format("accept its terms at {}, then {}", page, kGiveToken));
  }
  if (status == 401 || code == "RepoNotFound") {
    throw Error(where,
                status == 401 && has_token && code != "RepoNotFound"
                    ? fmt::format("the hub does not accept this token: {}", answer)
                    : fmt::format("is not on {}, or is private: {}", options_.endpoint, answer),
                has_token ? "check the name, and that the token is valid and may read it"
                          : fmt::format("check the name; for a private model {}", kGiveToken));
  }
  if (status == 404) throw Error(where, "is not on the hub", fmt::format("look at {}", page));
  throw Error(where, answer, "check --endpoint");
}

HubListing HubClient::List() {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", options_.endpoint,
                                      options_.repository, EscapeUrl(options_.revision));
  Retry retry(options_);
  while (true) {
    std::string body;
    bool too_large = false;
    HttpResponse response = http_.Get(url, 0, [&](const HttpResponse&, std::string_view data) {
      too_large = body.size() + data.size() > kLargestListing;
      if (!too_large) body += data;
      return !too_large;
    });
    Judge(response, name());
    if (too_large) {
      throw Error(name(), fmt::format("the list of its files is larger than {}",
                                      FormatBytes(static_cast<double>(kLargestListing))));
    }
    if (response.failure.empty()) {
      return ParseListing(body, fmt::format("{} (list of files)", name()));
    }
    retry.Failed(name(), response.failure, response.retry_after_seconds);
  }
}

HttpResponse HubClient::Get(const std::string& commit, const HubFile& file, int64_t first_byte,
                            HttpClient::Sink sink) {
  std::string path;
  for (size_t begin = 0; begin < file.name.size();) {
    const size_t slash = std::min(file.name.find('/', begin), file.name.size());
    path += "/" + EscapeUrl(std::string_view(file.name).substr(begin, slash - begin));
    begin = slash + 1;
  }
  const std::string where = fmt::format("{}: {}", name(), file.name);
  bool checked = false;
  const auto checked_sink = [&](const HttpResponse& head, std::string_view data) {
    if (!checked) CheckIdentity(head, commit, file, where);
    checked = true;
    return sink(head, data);
  };
  HttpResponse response = http_.Get(
      fmt::format("{}/{}/resolve/{}{}", options_.endpoint, options_.repository, commit, path),
      first_byte, checked_sink);
  Judge(response, where);
  return response;
}

}  // namespace fathom
