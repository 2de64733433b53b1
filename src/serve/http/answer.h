#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "serve/message/message.h"

namespace fathom {

// An answer that is not there yet when its handler returns (WebResponse::later), or that comes
// little by little (server-sent events). Any thread may write it, and never waits for the client.
class WebAnswer {
 public:
  // The whole answer; in place of Begin, Write and Close.
  void Send(WebResponse response);
  // The head of an answer whose body follows.
  void Begin(WebResponse head);
  void Write(std::string_view bytes);
  // The end of the body.
  void Close();
  // Called when the client goes before the end, or takes so little that kMostUnsent bytes wait for
  // it: what is written afterwards is dropped. On the server's thread; at once when it has gone.
  void OnGone(std::function<void()> callback);

  static constexpr size_t kMostUnsent = 1 << 20;

  // What follows is the server's.

  // What has come since it was last taken.
  struct News {
    std::optional<WebResponse> whole, head;
    std::string bytes;
    bool closed = false;
    bool too_slow = false;
  };
  News Take();
  // Called from any thread when there is news, at once when there is some already; it must not call
  // this answer.
  void OnNews(std::function<void()> callback);
  // The client has gone.
  void Gone();

 private:
  void Notify();  // mutex_ is held

  std::mutex mutex_;
  News news_;
  bool has_news_ = false, gone_ = false;
  std::function<void()> on_news_, on_gone_;
};

}  // namespace fathom
