#include "serve/http/answer.h"

#include <utility>

namespace fathom {

void WebAnswer::Send(WebResponse response) {
  std::unique_lock lock(mutex_);
  news_.whole = std::move(response);
  Notify(lock);
}

void WebAnswer::Begin(WebResponse head) {
  std::unique_lock lock(mutex_);
  news_.head = std::move(head);
  Notify(lock);
}

void WebAnswer::Write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (gone_ || news_.too_slow) return;
  if (news_.bytes.size() + bytes.size() > kMostUnsent) {
    news_.too_slow = true;
    news_.bytes = {};
  } else {
    news_.bytes += bytes;
  }
  Notify(lock);
}

void WebAnswer::Close() {
  std::unique_lock lock(mutex_);
  news_.closed = true;
  Notify(lock);
}

// Told once until it is taken: a thousand answers that each get a token at the same time are a
// thousand calls, not more.
void WebAnswer::Notify(std::unique_lock<std::mutex>& lock) {
  if (gone_ || std::exchange(has_news_, true)) return;
  const std::function<void()> callback = on_news_;
  lock.unlock();
  if (callback) callback();
}

WebAnswer::News WebAnswer::Take() {
  const std::lock_guard lock(mutex_);
  has_news_ = false;
  if (news_.closed || news_.whole) on_gone_ = nullptr;  // nothing is left to give up
  return std::exchange(news_, {});
}

void WebAnswer::OnNews(std::function<void()> callback) {
  std::unique_lock lock(mutex_);
  on_news_ = std::move(callback);
  if (std::exchange(has_news_, false)) Notify(lock);
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
