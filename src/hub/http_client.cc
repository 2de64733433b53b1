#include "hub/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <cctype>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

constexpr int kMostRedirects = 10;
// Of a body that nobody reads (of an error, a redirect), before the connection is closed instead.
constexpr size_t kMostIgnored = 64 << 10;
constexpr size_t kMostHeaders = 200;
constexpr long kSlowestBytesPerSecond = 1024;
constexpr long kReceiveBuffer = 256 << 10;

template <typename T>
void Set(CURL* handle, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  FATHOM_CHECK(code == CURLE_OK, "curl option {}: {}", static_cast<int>(option),
               curl_easy_strerror(code));
}

CURL* NewHandle() {
  CURL* handle = curl_easy_init();
  FATHOM_CHECK(handle != nullptr);
  return handle;
}

// A URL without its query: that of a signed one is a secret for as long as it holds.
std::string WithoutQuery(const std::string& url) { return url.substr(0, url.find('?')); }

struct Origin {
  std::string scheme, host, port;
  bool operator==(const Origin&) const = default;
};

Origin OriginOf(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  FATHOM_CHECK(parsed != nullptr);
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), which, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) {
      throw Error(WithoutQuery(url), "is not an http or https URL");
    }
    std::string copy = text;
    curl_free(text);
    return copy;
  };
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    throw Error(WithoutQuery(url), "is not a URL", "it begins with https:// or http://");
  }
  Origin origin{part(CURLUPART_SCHEME), part(CURLUPART_HOST), part(CURLUPART_PORT)};
  for (char& c : origin.host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (origin.scheme != "http" && origin.scheme != "https") {
    throw Error(WithoutQuery(url), fmt::format("a URL of {}", origin.scheme),
                "only https and http are opened");
  }
  return origin;
}

// Whether it is a name of this machine: what goes there does not leave it.
bool IsThisMachine(std::string_view host) {
  in_addr address;
  const bool is_address = inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
  const bool is_loopback = is_address && (ntohl(address.s_addr) >> 24) == IN_LOOPBACKNET;
  return is_loopback || host == "localhost" || host == "[::1]";
}

// Over plain http a token goes to this machine alone.
bool MayCarryToken(const Origin& origin) {
  return origin.scheme == "https" || IsThisMachine(origin.host);
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// What no other try will change.
bool IsFinal(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return true;
    default:
      return false;
  }
}

std::string_view HintFor(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return "install ca-certificates, or name your own authority's file in SSL_CERT_FILE";
    case CURLE_COULDNT_RESOLVE_PROXY:
      return "check https_proxy in the environment";
    default:
      return {};
  }
}

}  // namespace

std::string_view HttpResponse::Header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : found->second;
}

std::string_view HttpResponse::OriginHeader(std::string_view name) const {
  const auto found = origin_headers.find(name);
  return found == origin_headers.end() ? std::string_view() : found->second;
}

// What the callbacks of one request work on.
struct HttpClient::Transfer {
  Transfer(const HttpOptions& given_options, Sink given_sink)
      : options(given_options), sink(given_sink) {}

  const HttpOptions& options;
  Sink sink;
  HttpResponse response;
  bool is_origin = true;
  bool is_this_machine = false;
  bool takes_all = false;  // bodies that are not 2xx go to the sink, too
  size_t ignored = 0;      // bytes of bodies that are not 2xx
  bool stopped = false, cancelled = false;
  const char* message = nullptr;  // libcurl's, of what went wrong
  std::exception_ptr exception;

  static size_t OnHeader(char* data, size_t size, size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    const std::string_view line(data, size * count);
    HttpResponse& response = transfer.response;
    if (line.starts_with("HTTP/")) {  // a new answer: the one before was a "100 Continue" or alike
      response.headers.clear();
      response.status = 0;
      const size_t space = line.find(' ');
      if (space != std::string_view::npos) {
        response.status = std::atoi(std::string(line.substr(space + 1, 3)).c_str());
      }
      return line.size();
    }
    if (Trim(line).empty() && transfer.is_origin) {  // the last line
      for (const auto& [name, value] : response.headers) response.origin_headers[name] = value;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && response.headers.size() < kMostHeaders) {
      std::string name(line.substr(0, colon));
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      std::string value(Trim(line.substr(colon + 1)));
      // Parts of it end up in messages.
      for (char& c : value) {
        if (std::iscntrl(static_cast<unsigned char>(c)) != 0) c = '?';
      }
      response.headers[std::move(name)] = std::move(value);
    }
    return line.size();
  }

  static size_t OnBody(char* data, size_t size, size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    const std::string_view piece(data, size * count);
    HttpResponse& response = transfer.response;
    try {
      if (response.status / 100 == 2 || transfer.takes_all) {
        if (!transfer.sink(response, piece)) {
          transfer.stopped = true;
          return 0;
        }
      } else if ((transfer.ignored += piece.size()) > kMostIgnored) {
        transfer.stopped = true;
        return 0;
      }
    } catch (...) {
      transfer.exception = std::current_exception();
      return 0;
    }
    return piece.size();
  }

  static int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(user);
    transfer.cancelled = transfer.options.cancelled();
    return transfer.cancelled ? 1 : 0;
  }
};

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) {
  static std::once_flag once;
  std::call_once(once, [] { FATHOM_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
  handle_ = NewHandle();
}

HttpClient::~HttpClient() { curl_easy_cleanup(handle_); }

struct HttpClient::Headers {
  ~Headers() { curl_slist_free_all(list); }
  void Add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }

  curl_slist* list = nullptr;
  char message[CURL_ERROR_SIZE] = "";
};

void HttpClient::Prepare(const std::string& url, Transfer& transfer, Headers& headers) {
  CURL* handle = handle_;
  curl_easy_reset(handle);  // keeps the connections
  Set(handle, CURLOPT_URL, url.c_str());
  Set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  Set(handle, CURLOPT_FOLLOWLOCATION, 0L);
  Set(handle, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  Set(handle, CURLOPT_USERAGENT, "fathom");
  Set(handle, CURLOPT_NOSIGNAL, 1L);
  Set(handle, CURLOPT_CONNECTTIMEOUT, options_.connect_seconds);
  if (options_.stall_seconds > 0) {
    Set(handle, CURLOPT_LOW_SPEED_LIMIT, kSlowestBytesPerSecond);
    Set(handle, CURLOPT_LOW_SPEED_TIME, options_.stall_seconds);
  }
  Set(handle, CURLOPT_TIMEOUT, options_.total_seconds);
  Set(handle, CURLOPT_BUFFERSIZE, kReceiveBuffer);
  // libcurl reads the proxy variables by itself, and those of certificates not.
  for (const char* variable : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* bundle = std::getenv(variable);
    if (bundle == nullptr || *bundle == 0) continue;
    Set(handle, CURLOPT_CAINFO, bundle);
    Set(handle, CURLOPT_PROXY_CAINFO, bundle);
    break;
  }
  if (transfer.is_this_machine) Set(handle, CURLOPT_PROXY, "");  // none: it would see the token
  Set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // a proxy's answer is not the server's
  Set(handle, CURLOPT_HEADERFUNCTION, Transfer::OnHeader);
  Set(handle, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  Set(handle, CURLOPT_WRITEFUNCTION, Transfer::OnBody);
  Set(handle, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  Set(handle, CURLOPT_XFERINFOFUNCTION, Transfer::OnProgress);
  Set(handle, CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
  Set(handle, CURLOPT_NOPROGRESS, 0L);
  Set(handle, CURLOPT_ERRORBUFFER, headers.message);
  transfer.message = headers.message;

  headers.Add("Accept-Encoding: identity");
  if (transfer.is_origin && !options_.token.empty()) {
    headers.Add(fmt::format("Authorization: Bearer {}", options_.token));
  }
  // Headers for the server are not for a proxy on the way to it.
  Set(handle, CURLOPT_HEADEROPT, long{CURLHEADER_SEPARATE});
}

bool HttpClient::Perform(const std::string& url, Transfer& transfer) {
  HttpResponse& response = transfer.response;
  response.status = 0;
  response.headers.clear();
  response.failure.clear();
  transfer.ignored = 0;
  transfer.stopped = false;
  const CURLcode code = curl_easy_perform(handle_);
  if (transfer.exception) std::rethrow_exception(transfer.exception);
  if (transfer.cancelled) throw Cancelled();
  if (code != CURLE_OK && !transfer.stopped) {
    response.failure = *transfer.message != 0 ? transfer.message : curl_easy_strerror(code);
    // A try that failed may leave something behind that options of the next one are refused for
    // (libcurl 7.88: the receive buffer, when a name did not resolve).
    curl_easy_cleanup(std::exchange(handle_, NewHandle()));
    if (IsFinal(code)) throw Error(WithoutQuery(url), response.failure, HintFor(code));
    return false;
  }
  curl_off_t wait = 0;
  if (curl_easy_getinfo(handle_, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK &&
      !response.Header("retry-after").empty()) {
    response.retry_after_seconds = static_cast<double>(wait);
  }
  return true;
}

std::string HttpClient::GetOnce(const std::string& url, int64_t first_byte, Transfer& transfer) {
  Headers headers;
  Prepare(url, transfer, headers);
  Set(handle_, CURLOPT_HTTPHEADER, headers.list);
  const std::string range = fmt::format("{}-", first_byte);
  if (first_byte > 0) Set(handle_, CURLOPT_RANGE, range.c_str());
  if (!Perform(url, transfer)) return "";
  const HttpResponse& response = transfer.response;
  if (response.status / 100 != 3) return "";
  char* target = nullptr;
  if (curl_easy_getinfo(handle_, CURLINFO_REDIRECT_URL, &target) != CURLE_OK || target == nullptr) {
    throw Error(WithoutQuery(url), fmt::format("answered {} without a Location", response.status));
  }
  return target;
}

HttpResponse HttpClient::Get(const std::string& url, int64_t first_byte, Sink sink) {
  const Origin origin = OriginOf(url);
  if (!options_.token.empty() && !MayCarryToken(origin)) {
    throw Error(WithoutQuery(url), "the token would be sent without encryption",
                "use an https:// endpoint, or unset HF_TOKEN and give no --token-file");
  }
  Transfer transfer(options_, sink);
  std::string next = url;
  Origin here = origin;
  for (int hop = 0; hop <= kMostRedirects; ++hop) {
    transfer.is_origin = here == origin;
    transfer.is_this_machine = IsThisMachine(here.host);
    std::string target = GetOnce(next, first_byte, transfer);
    if (target.empty()) return std::move(transfer.response);
    const Origin there = OriginOf(target);
    if (here.scheme == "https" && there.scheme == "http") {
      throw Error(WithoutQuery(next),
                  fmt::format("redirects from https to {}", WithoutQuery(target)),
                  "such a redirect is not followed");
    }
    here = there;
    next = std::move(target);
  }
  throw Error(url, fmt::format("redirects more than {} times", kMostRedirects));
}

HttpReply HttpClient::Post(const std::string& url, std::string_view json, size_t most_bytes) {
  const Origin origin = OriginOf(url);
  if (!options_.token.empty() && !MayCarryToken(origin)) {
    throw Error(WithoutQuery(url), "the key would be sent without encryption",
                "use an https:// address, or no key");
  }
  HttpReply reply;
  const auto take = [&](const HttpResponse&, std::string_view data) {
    if (data.size() > most_bytes - reply.body.size()) {
      reply.too_large = true;
      return false;
    }
    reply.body += data;
    return true;
  };
  Transfer transfer(options_, take);
  transfer.takes_all = true;
  transfer.is_this_machine = IsThisMachine(origin.host);
  Headers headers;
  Prepare(url, transfer, headers);
  headers.Add("Content-Type: application/json");
  headers.Add("Expect:");  // a large body goes at once
  Set(handle_, CURLOPT_HTTPHEADER, headers.list);
  Set(handle_, CURLOPT_POST, 1L);
  Set(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(json.size()));
  Set(handle_, CURLOPT_POSTFIELDS, json.data());
  Perform(url, transfer);
  reply.head = std::move(transfer.response);
  return reply;
}

std::string EscapeUrl(std::string_view text) {
  constexpr std::string_view kUnreserved = "-._~";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') ||
                       kUnreserved.find(c) != std::string_view::npos;
    if (plain) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", byte);
    }
  }
  return escaped;
}

}  // namespace fathom
