// What servers and the network do to a download.

#include <gtest/gtest.h>

#include <filesystem>

#include "hub/pull_fixture.h"

namespace fathom::test {
namespace {

constexpr size_t kHalf = 150'000;

class TransferTest : public PullTest {
 protected:
  // Begins with an honest header, and drops the connection after `bytes` more of the body.
  void Drop(const FakeRequest& request, FakeConnection& connection, size_t bytes) {
    const auto begin = static_cast<size_t>(request.first_byte());
    const size_t left = weights_.size() - begin;
    connection.Send(begin == 0 ? std::string("HTTP/1.1 200 OK\r\n")
                               : fmt::format("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes "
                                             "{}-{}/{}\r\n",
                                             begin, weights_.size() - 1, weights_.size()));
    connection.Send(fmt::format("Content-Length: {}\r\n\r\n", left));
    connection.Send(std::string_view(weights_).substr(begin, bytes));
    connection.Close();
  }
  void DropOnce() {
    AnswerWeights(1, [this](const FakeRequest& request, FakeConnection& connection) {
      Drop(request, connection, kHalf);
    });
  }
  std::string Range(size_t request) {
    const auto requests = hub_.RequestsFor("/store/model.safetensors");
    return request < requests.size() ? requests[request].Header("range") : "no such request";
  }
};

TEST_F(TransferTest, TheTokenIsForTheHubOnly) {
  PullOptions options = Options();
  options.hub.http.token = "hf_secret";
  Pull(options);
  size_t at_hub = 0, elsewhere = 0;
  for (const FakeRequest& request : hub_.requests()) {
    const bool is_hub = request.Header("host").starts_with("127.0.0.1:");
    EXPECT_EQ(request.Header("authorization"), is_hub ? "Bearer hf_secret" : "");
    ++(is_hub ? at_hub : elsewhere);
  }
  EXPECT_EQ(at_hub, 3u);  // listing, config.json, the redirect of the weights
  EXPECT_EQ(elsewhere, 1u);
}

// The proxy stands for the network: it sees all that would leave this machine.
TEST_F(TransferTest, ATokenDoesNotLeaveThisMachineOverPlainHttp) {
  hub_.intercept = [](const FakeRequest&, FakeConnection& connection) {
    connection.Answer("200 OK", "", "{}");
    return true;
  };
  setenv("http_proxy", hub_.endpoint().c_str(), 1);
  for (const char* endpoint :
       {"http://hub.invalid", "http://192.0.2.1:8080", "http://localhost.hub.invalid",
        "http://127.0.0.1.hub.invalid", "http://127.0.0.1@hub.invalid", "http://[2001:db8::1]",
        "HTTP://hub.invalid", "http://0.0.0.0"}) {
    HttpOptions options;
    options.token = "hf_secret";
    HttpClient client(options);
    const auto nothing = [](const HttpResponse&, std::string_view) { return true; };
    EXPECT_ERROR(client.Get(fmt::format("{}/api", endpoint), 0, nothing),
                 "the token would be sent without encryption");
  }
  unsetenv("http_proxy");
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(TransferTest, ThisMachineIsReachedWithoutAProxy) {
  setenv("http_proxy", "http://127.0.0.1:1", 1);  // nobody listens there
  PullOptions options = Options();
  options.hub.http.token = "hf_secret";
  Pull(options);
  unsetenv("http_proxy");
  ExpectModelIsThere();
}

TEST_F(TransferTest, ATokenIsNotForAnotherPort) {
  FakeHub other;
  hub_.intercept = [&](const FakeRequest& request, FakeConnection& connection) {
    if (!request.target.ends_with("/config.json")) return false;
    connection.Answer("307 Temporary Redirect",
                      fmt::format("Location: {}/config.json\r\n", other.endpoint()), "");
    return true;
  };
  other.intercept = [this](const FakeRequest&, FakeConnection& connection) {
    connection.Answer("200 OK", "", config_);
    return true;
  };
  PullOptions options = Options();
  options.hub.http.token = "hf_secret";
  Pull(options);
  ExpectModelIsThere();
  ASSERT_EQ(other.requests().size(), 1u);
  EXPECT_EQ(other.requests()[0].Header("authorization"), "");
}

TEST_F(TransferTest, ARenamedModelIsFollowedWithTheToken) {
  hub_.intercept = [](const FakeRequest& request, FakeConnection& connection) {
    const size_t name = request.target.find("org/old-name");
    if (name == std::string::npos) return false;
    std::string target = request.target;
    target.replace(name, 12, "org/model");
    connection.Answer("307 Temporary Redirect", fmt::format("Location: {}\r\n", target), "moved");
    return true;
  };
  PullOptions options = Options();
  options.hub.repository = "org/old-name";
  options.hub.http.token = "hf_secret";
  Pull(options);
  ExpectModelIsThere();
  for (const FakeRequest& request : hub_.RequestsFor("/api/")) {
    EXPECT_EQ(request.Header("authorization"), "Bearer hf_secret");
  }
}

TEST_F(TransferTest, ADropIsGoneOnFrom) {
  DropOnce();
  const PullResult result = Run();
  ExpectModelIsThere();
  EXPECT_EQ(Range(1), "bytes=150000-");
  EXPECT_EQ(result.received, static_cast<int64_t>(config_.size() + weights_.size()));
  EXPECT_EQ(waits_.size(), 1u);
}

TEST_F(TransferTest, AsManyDropsAsItTakesAsLongAsSomethingComes) {
  AnswerWeights(29, [this](const FakeRequest& request, FakeConnection& connection) {
    Drop(request, connection, 10'000);
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(waits_.size(), 29u);
  EXPECT_EQ(Range(29), "bytes=290000-");
}

TEST_F(TransferTest, ABodyThatEndsTooEarlyWithoutAnError) {
  // Without a length, the end of the connection is the end of the body.
  AnswerWeights(1, [this](const FakeRequest&, FakeConnection& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    connection.Send(std::string_view(weights_).substr(0, kHalf));
    connection.Close();
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(Range(1), "bytes=150000-");
}

TEST_F(TransferTest, AServerThatKnowsNoRangesBeginsAgain) {
  AnswerWeights(2, [this](const FakeRequest& request, FakeConnection& connection) {
    if (request.first_byte() == 0) return Drop(request, connection, kHalf);
    connection.Answer("200 OK", "", weights_);
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(Range(1), "bytes=150000-");
  EXPECT_EQ(hub_.RequestsFor("/store/").size(), 2u);
}

TEST_F(TransferTest, ARangeThatIsRefusedBeginsAgain) {
  AnswerWeights(2, [this](const FakeRequest& request, FakeConnection& connection) {
    if (request.first_byte() == 0) return Drop(request, connection, kHalf);
    connection.Answer("416 Range Not Satisfiable", "Content-Range: bytes */5\r\n", "no");
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(Range(2), "");
}

TEST_F(TransferTest, AnotherRangeThanAskedForIsNotWritten) {
  AnswerWeights(2, [this](const FakeRequest& request, FakeConnection& connection) {
    if (request.first_byte() == 0) return Drop(request, connection, kHalf);
    connection.Answer(
        "206 Partial Content",
        fmt::format("Content-Range: bytes 0-{}/{}\r\n", weights_.size() - 1, weights_.size()),
        weights_);
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(Range(2), "");
}

TEST_F(TransferTest, ADropBeforeTheFirstByteLosesNothing) {
  AnswerWeights(2, [this](const FakeRequest& request, FakeConnection& connection) {
    Drop(request, connection, request.first_byte() == 0 ? kHalf : 0);
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(Range(2), "bytes=150000-");
}

TEST_F(TransferTest, AWrongChecksumIsTriedOnceMore) {
  std::string damaged = weights_;
  damaged[7] ^= 1;
  AnswerWeights(1, [&](const FakeRequest&, FakeConnection& connection) {
    connection.Answer("200 OK", "", damaged);
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(hub_.RequestsFor("/store/").size(), 2u);
}

TEST_F(TransferTest, AWrongChecksumTwiceIsAnError) {
  std::string damaged = weights_;
  damaged[7] ^= 1;
  AnswerWeights(1000, [&](const FakeRequest&, FakeConnection& connection) {
    connection.Answer("200 OK", "", damaged);
  });
  EXPECT_ERROR(Run(), "model.safetensors: what arrived does not have the checksum");
  EXPECT_EQ(hub_.RequestsFor("/store/").size(), 2u);
  EXPECT_FALSE(Exists("model.safetensors"));
  EXPECT_FALSE(Exists("model.safetensors.part"));
}

TEST_F(TransferTest, APartThatWasDamagedOnTheDiskBeginsAgain) {
  DropOnce();
  PullOptions options = Options();
  options.hub.attempts = 1;
  EXPECT_ERROR(Pull(options), "model.safetensors");
  std::string part = Read("model.safetensors.part");
  ASSERT_EQ(part.size(), kHalf);
  part[3] ^= 1;
  Write("model.safetensors.part", part);
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(Range(1), "bytes=150000-");
  EXPECT_EQ(Range(2), "");
}

TEST_F(TransferTest, SmallFilesAreVerifiedToo) {
  hub_.intercept = [this](const FakeRequest& request, FakeConnection& connection) {
    if (!request.target.ends_with("/config.json")) return false;
    connection.Answer("200 OK", "", std::string(config_.size(), 'x'));
    return true;
  };
  EXPECT_ERROR(Run(), "config.json: what arrived does not have the checksum");
}

TEST_F(TransferTest, ABusyHubIsLeftAloneAsLongAsItAsks) {
  AnswerWeights(1, [](const FakeRequest&, FakeConnection& connection) {
    connection.Answer("503 Service Unavailable", "Retry-After: 7\r\n", "busy");
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(waits_, std::vector<double>{7});
}

TEST_F(TransferTest, ABusyListingIsAskedForAgain) {
  left_ = 1;
  hub_.intercept = [this](const FakeRequest&, FakeConnection& connection) {
    if (left_-- <= 0) return false;
    connection.Answer("429 Too Many Requests", "Retry-After: 3\r\n", "");
    return true;
  };
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(waits_, std::vector<double>{3});
}

TEST_F(TransferTest, WaitsGrowUntilItGivesUp) {
  AnswerAll("500 Internal Server Error", "");
  EXPECT_ERROR(Run(), "org/model: the hub answers 500 (6 tries)");
  ASSERT_EQ(waits_.size(), 5u);
  for (size_t i = 0; i < waits_.size(); ++i) {
    const double longest = static_cast<double>(1 << i);
    EXPECT_GE(waits_[i], longest / 2);
    EXPECT_LE(waits_[i], longest);
  }
}

TEST_F(TransferTest, ItDoesNotWaitForHours) {
  AnswerAll("429 Too Many Requests", "Retry-After: 7200\r\n");
  EXPECT_ERROR(Run(), "come back in 2 h");
  EXPECT_TRUE(waits_.empty());
}

TEST_F(TransferTest, AStalledTransferIsGoneOnWith) {
  AnswerWeights(1, [this](const FakeRequest&, FakeConnection& connection) {
    connection.Send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", weights_.size()));
    connection.Send(std::string_view(weights_).substr(0, 800));
    hub_.WaitForEnd();
  });
  PullOptions options = Options();
  options.hub.http.stall_seconds = 1;
  Pull(options);
  ExpectModelIsThere();
  EXPECT_EQ(Range(1), "bytes=800-");
}

TEST_F(TransferTest, ChunkedBodies) {
  AnswerWeights(1, [this](const FakeRequest&, FakeConnection& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t begin = 0; begin < weights_.size(); begin += 70'000) {
      const auto chunk = std::string_view(weights_).substr(begin, 70'000);
      connection.Send(fmt::format("{:x}\r\n", chunk.size()));
      connection.Send(chunk);
      connection.Send("\r\n");
    }
    connection.Send("0\r\n\r\n");
  });
  Run();
  ExpectModelIsThere();
  EXPECT_EQ(hub_.RequestsFor("/store/").size(), 1u);
}

TEST_F(TransferTest, ALengthThatIsNotTheListedOneIsNotDownloaded) {
  for (const size_t length : {size_t{10}, weights_.size() + 1, size_t{1} << 60}) {
    AnswerWeights(1000, [=](const FakeRequest&, FakeConnection& connection) {
      connection.Send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", length));
      connection.Send(std::string(10, 'x'));
      connection.Close();
    });
    EXPECT_ERROR(Run(), fmt::format("300000 bytes are listed and {} come", length));
    EXPECT_FALSE(Exists("model.safetensors"));
  }
}

TEST_F(TransferTest, MoreBytesThanListedAreNotWritten) {
  AnswerWeights(1000, [this](const FakeRequest&, FakeConnection& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    connection.Send(std::string(2 * weights_.size(), 'x'));
    connection.Close();
  });
  PullOptions options = Options();
  options.hub.attempts = 2;
  EXPECT_THROW(Pull(options), Error);
  EXPECT_FALSE(Exists("model.safetensors"));
  if (Exists("model.safetensors.part")) {
    EXPECT_LE(Read("model.safetensors.part").size(), weights_.size());
  }
}

TEST_F(TransferTest, AnEncodedBodyIsNotWritten) {
  AnswerWeights(1000, [this](const FakeRequest& request, FakeConnection& connection) {
    EXPECT_EQ(request.Header("accept-encoding"), "identity");
    connection.Answer("200 OK", "Content-Encoding: gzip\r\n", weights_);
  });
  EXPECT_ERROR(Run(), "comes encoded as 'gzip'");
}

TEST_F(TransferTest, OtherContentThanListedIsSeenBeforeItIsDownloaded) {
  hub_.intercept = [this](const FakeRequest& request, FakeConnection& connection) {
    if (!request.target.ends_with("/resolve/" + std::string(FakeHub::kCommit) +
                                  "/model.safetensors")) {
      return false;
    }
    connection.Answer("302 Found",
                      fmt::format("X-Linked-Etag: \"{}\"\r\nLocation: /store/model.safetensors\r\n",
                                  std::string(64, '0')),
                      "");
    return true;
  };
  EXPECT_ERROR(Run(), "the hub serves other content than it lists");
}

TEST_F(TransferTest, AListingWithoutEnd) {
  hub_.intercept = [](const FakeRequest&, FakeConnection& connection) {
    connection.Send("HTTP/1.1 200 OK\r\n\r\n[");
    const std::string names(1 << 20, ' ');
    while (connection.open()) connection.Send(names);
    return true;
  };
  EXPECT_ERROR(Run(), "the list of its files is larger than 64.0 MiB");
}

TEST_F(TransferTest, RedirectsThatLeadNowhere) {
  AnswerAll("302 Found", "Location: /again\r\n");
  EXPECT_ERROR(Run(), "redirects more than 10 times");
  AnswerAll("302 Found", "Location: file:///etc/passwd\r\n");
  EXPECT_ERROR(Run(), "file:///etc/passwd");
  AnswerAll("302 Found", "");
  EXPECT_ERROR(Run(), "without a Location");
}

TEST_F(TransferTest, NobodyListens) {
  PullOptions options = Options();
  options.hub.endpoint = "http://127.0.0.1:1";
  EXPECT_ERROR(Pull(options), "127.0.0.1 port 1");
  EXPECT_EQ(waits_.size(), 5u);
  EXPECT_FALSE(std::filesystem::exists(model_));
}

// A label of a host's name has 63 bytes at most: no name server has to be asked for this one.
TEST_F(TransferTest, ANameThatDoesNotResolveIsTriedAgain) {
  HttpClient client({});
  const std::string url = fmt::format("http://{}.invalid/", std::string(64, 'a'));
  const auto nothing = [](const HttpResponse&, std::string_view) { return true; };
  for (int attempt = 0; attempt < 3; ++attempt) {
    const HttpResponse response = client.Get(url, 0, nothing);
    EXPECT_EQ(response.status, 0);
    EXPECT_NE(response.failure.find("resolve"), std::string::npos) << response.failure;
  }
  // The same client reaches a server as before.
  EXPECT_NE(client.Get(hub_.endpoint() + "/nothing", 0, nothing).status, 0);
}

TEST_F(TransferTest, TheProxyOfTheEnvironmentIsUsed) {
  hub_.intercept = [this](const FakeRequest& request, FakeConnection& connection) {
    EXPECT_EQ(request.target,
              "http://hub.invalid/api/models/org/model/revision/refs%2Fpr%2F1?blobs=true");
    connection.Answer("200 OK", "", hub_.listing());
    return true;
  };
  HubOptions options = Options().hub;
  options.endpoint = "http://hub.invalid/";
  options.revision = "refs/pr/1";
  setenv("http_proxy", hub_.endpoint().c_str(), 1);
  EXPECT_EQ(HubClient(options).List().files.size(), 3u);
  unsetenv("http_proxy");
}

struct Refusal {
  const char *status, *headers;
  bool with_token;
  const char* message;
};

TEST_F(TransferTest, RefusalsSayWhatToDo) {
  const Refusal refusals[] = {
      {"401 Unauthorized", "X-Error-Code: GatedRepo\r\n", false,
       "/org/model, then set HF_TOKEN or give --token-file"},
      {"403 Forbidden", "X-Error-Code: GatedRepo\r\n", true,
       "accept its terms at http://127.0.0.1"},
      {"401 Unauthorized", "", false, "is not on http"},
      {"401 Unauthorized", "X-Error-Message: Invalid credentials\r\n", true,
       "does not accept this token: the hub answers 401: Invalid credentials"},
      {"404 Not Found", "X-Error-Code: RepoNotFound\r\n", false, "check the name"},
      {"404 Not Found", "X-Error-Code: RevisionNotFound\r\n", false, "has no revision 'main'"},
      {"403 Forbidden", "X-Error-Message: Access \x1b[2J is disabled.\r\n", true,
       "403: Access ?[2J is disabled."},
      {"418 I'm a teapot", "", false, "the hub answers 418"},
  };
  for (const Refusal& refusal : refusals) {
    AnswerAll(refusal.status, refusal.headers);
    PullOptions options = Options();
    if (refusal.with_token) options.hub.http.token = "hf_secret";
    try {
      Pull(options);
      ADD_FAILURE() << refusal.message;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(refusal.message), std::string::npos) << message;
      EXPECT_EQ(message.find("hf_secret"), std::string::npos);
    }
  }
  EXPECT_TRUE(waits_.empty());  // none of these gets better by waiting
}

TEST_F(TransferTest, AFileThatIsNotThereStopsTheRun) {
  hub_.intercept = [](const FakeRequest& request, FakeConnection& connection) {
    if (!request.target.ends_with("/config.json")) return false;
    connection.Answer("404 Not Found", "X-Error-Code: EntryNotFound\r\n", "");
    return true;
  };
  EXPECT_ERROR(Run(), "org/model: config.json: is not on the hub");
}

}  // namespace
}  // namespace fathom::test
