#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fathom::test {

// A request as it came over the wire.
struct FakeRequest {
  std::string target;                          // "/api/models/..."
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // of a POST

  std::string Header(const std::string& name) const;
  // Of "Range: bytes=N-"; 0 when there is none.
  int64_t first_byte() const;
};

// What a test sends in return: raw bytes. Closing is what a drop looks like from outside.
class FakeConnection {
 public:
  explicit FakeConnection(int descriptor) : descriptor_(descriptor) {}
  void Send(std::string_view bytes);
  // An answer with its Content-Length. status: "200 OK"; headers: whole lines, each with "\r\n".
  void Answer(std::string_view status, std::string_view headers, std::string_view body);
  void Close() { open_ = false; }
  bool open() const { return open_; }

 private:
  int descriptor_;
  bool open_ = true;
};

// A hub with one model, "org/model", that speaks the HTTP API of Hugging Face on a port of this
// machine. Bytes of large (LFS) files come from "another host": the hub is 127.0.0.1 and redirects
// to localhost.
class FakeHub {
 public:
  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

  FakeHub();
  ~FakeHub();
  FakeHub(const FakeHub&) = delete;
  FakeHub& operator=(const FakeHub&) = delete;

  void Add(const std::string& name, std::string content, bool is_large);
  // The listing as the API gives it; a test may put its own in its place.
  std::string listing() const;
  std::string listing_override;
  // Has a look at every request first; true: it has answered.
  std::function<bool(const FakeRequest&, FakeConnection&)> intercept;

  std::string endpoint();
  // Everything that was asked so far.
  std::vector<FakeRequest> requests();
  // Those whose target holds `text`.
  std::vector<FakeRequest> RequestsFor(std::string_view text);
  // Ends all connections and waits until nothing is answered any more: before anything above is
  // changed between two runs.
  void Settle();
  // Lets requests that wait in WaitForEnd go; called by the destructor.
  void End();
  // Blocks the calling request until End().
  void WaitForEnd() { ended_.wait(false); }

 private:
  struct File {
    std::string content;
    bool is_large;
  };

  void Accept();
  void Serve(int descriptor);
  void Respond(const FakeRequest& request, FakeConnection& connection);

  int listener_;
  uint16_t port_;
  std::map<std::string, File> files_;
  std::mutex mutex_;  // of what follows
  std::vector<FakeRequest> requests_;
  std::list<int> connections_;
  bool closing_ = false;
  std::atomic<bool> ended_{false};
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// Checksums as the hub's listing gives them, in hexadecimal; made with OpenSSL's one-shot
// functions.
std::string Sha256Hex(std::string_view content);
std::string GitBlobHex(std::string_view content);

}  // namespace fathom::test
