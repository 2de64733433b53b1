#include "serve/http/answer.h"

#include <utility>

namespace fathom {

void WebAnswer::Send(WebResponse response) {
  const std::lock_guard lock(mutex_);
  news_.whole = std::move(response);
  Notify();
}

void WebAnswer::Begin(WebResponse head) {
  const std::lock_guard lock(mutex_);
  news_.head = std::move(head);
  Notify();
}

void WebAnswer::Write(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (gone_ || news_.too_slow) return;
  if (news_.bytes.size() + bytes.size() > kMostUnsent) {
    news_.too_slow = true;
    news_.bytes = {};
  } else {
    news_.bytes += bytes;
  }
  Notify();
}

void WebAnswer::Close() {
  const std::lock_guard lock(mutex_);
  news_.closed = true;
  Notify();
}

// Told once until it is taken: a thousand answers that each get a token at the same time are a
// thousand calls, not more. Under the lock, so that nobody is called any more after Gone().
void WebAnswer::Notify() {
  if (gone_ || std::exchange(has_news_, true)) return;
  if (on_news_) on_news_();
}

WebAnswer::News WebAnswer::Take() {
  const std::lock_guard lock(mutex_);
  has_news_ = false;
  if (news_.closed || news_.whole) on_gone_ = nullptr;  // nothing is left to give up
  return std::exchange(news_, {});
}

void WebAnswer::OnNews(std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  on_news_ = std::move(callback);
  if (std::exchange(has_news_, false)) Notify();
}

void WebAnswer::OnGone(std::function<void()> callback) {
  std::unique_lock lock(mutex_);
  if (!gone_) {
    on_gone_ = std::move(callback);
    return;
  }
  lock.unlock();
  callback();
}

void WebAnswer::Gone() {
  std::unique_lock lock(mutex_);
  if (std::exchange(gone_, true)) return;
  on_news_ = nullptr;
  news_ = {};
  const std::function<void()> callback = std::exchange(on_gone_, nullptr);
  lock.unlock();
  if (callback) callback();
}

}  // namespace fathom
