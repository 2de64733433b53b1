#include "hub/download.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "hub/part_file.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);

// Why the answer with these headers is not the rest of the file from `begin` on, or "".
std::string WhatIsWrongWith(const HttpResponse& head, int64_t begin, const HubFile& file) {
  const std::string_view encoding = head.Header("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return fmt::format("it comes encoded as '{}'", encoding);
  }
  if (head.status == 206) {
    const std::string_view range = head.Header("content-range");
    const std::string wanted = fmt::format("bytes {}-{}/", begin, file.size - 1);
    if (begin > 0 && range.starts_with(wanted)) return "";
    return fmt::format("'{}...' is wanted and '{}' comes", wanted, range);
  }
  if (head.status != 200) return fmt::format("an unexpected answer {}", head.status);
  const std::string_view length = head.Header("content-length");
  if (!length.empty() && length != std::to_string(file.size)) {
    return fmt::format("{} bytes are listed and {} come", file.size, length);
  }
  return "";
}

// Workers that take one file after the other, and the caller's thread that shows how far they are.
class Downloader {
 public:
  Downloader(const HubOptions& hub, const HubListing& listing, const PullPlan& plan,
             const fs::path& directory, PullRecord& record, const DownloadOptions& options)
      : hub_(hub),
        listing_(listing),
        plan_(plan),
        directory_(directory),
        record_(record),
        options_(options) {
    hub_.http.cancelled = [this, asked = hub.http.cancelled] { return stop_ || asked(); };
    hub_.report = [this](const std::string& why) { Say(why); };
  }

  // Throws the first error of any worker, after all have stopped; Cancelled.
  void Run() {
    std::vector<std::jthread> threads;
    const auto files = std::count(plan_.download.begin(), plan_.download.end(), true);
    running_ = static_cast<int>(std::min<int64_t>(options_.jobs, files));
    const int workers = running_;
    for (int i = 0; i < workers; ++i) threads.emplace_back([this] { Work(); });
    ShowUntilDone(files);
    threads.clear();  // joins them
    if (error_) std::rethrow_exception(error_);
  }

  int64_t received() const { return received_; }

 private:
  void Work() {
    try {
      HubClient hub(hub_);
      for (size_t i; (i = next_++) < listing_.files.size();) {
        if (plan_.download[i]) Download(hub, listing_.files[i]);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      // After the first error, the others only say that they were stopped.
      if (!error_) error_ = std::current_exception();
      stop_ = true;
    }
    const std::lock_guard lock(mutex_);
    --running_;
    changed_.notify_all();
  }

  void Download(HubClient& hub, const HubFile& file) {
    MakeFolders(directory_, file.name);
    const fs::path place = directory_ / file.name;
    for (int attempt = 1;; ++attempt) {
      PartFile part(place, file, [this](int64_t) { CheckCancelled(); });
      Receive(hub, file, part);
      if (part.Commit()) break;
      arrived_ -= file.size;
      constexpr std::string_view kWrong =
          "what arrived does not have the checksum that the hub lists";
      if (attempt == 2) {
        throw Error(place.string(), fmt::format("{}, twice", kWrong),
                    "a proxy may change it, or the hub's copy is damaged; nothing of it was kept");
      }
      Say(fmt::format("{}: {}; downloading it again", file.name, kWrong));
    }
    const std::lock_guard lock(mutex_);
    ++finished_;
    record_.parts.erase(file.name);
    record_.files.insert_or_assign(
        file.name, PullRecord::File{file.checksum, file.size, ModificationTime(place)});
    record_.Save(directory_);
  }

  // Until all bytes are there.
  void Receive(HubClient& hub, const HubFile& file, PartFile& part) {
    Retry retry(hub.options());
    int64_t most = part.size();
    while (part.size() < file.size) {
      const int64_t begin = part.size();
      bool began = false;
      std::string problem;
      const auto restart = [&] {
        arrived_ -= part.size();
        part.Restart();
      };
      const auto sink = [&](const HttpResponse& head, std::string_view data) {
        if (!began) problem = WhatIsWrongWith(head, begin, file);
        if (!problem.empty()) return false;
        if (!began && head.status == 200 && begin > 0) restart();  // it knows no ranges
        began = true;
        if (part.size() + static_cast<int64_t>(data.size()) > file.size) {
          problem = fmt::format("more than the {} bytes come that are listed", file.size);
          return false;
        }
        part.Append(data);
        arrived_ += static_cast<int64_t>(data.size());
        received_ += static_cast<int64_t>(data.size());
        return true;
      };
      const HttpResponse response = hub.Get(listing_.commit, file, begin, sink);
      if (part.size() == file.size) return;
      // Another range than the one asked for, or none: the next try is for the whole file.
      if (response.status == 416 || (response.status == 206 && !began && !problem.empty())) {
        if (problem.empty()) problem = fmt::format("it cannot be gone on with from byte {}", begin);
        restart();
      }
      if (problem.empty()) problem = response.failure;
      if (problem.empty()) {
        problem = fmt::format("{} of {} bytes came", part.size() - begin, file.size - begin);
      }
      if (part.size() > most) retry.Succeeded();
      most = std::max(most, part.size());
      retry.Failed(fmt::format("{}: {}", hub.name(), file.name), problem,
                   response.retry_after_seconds);
    }
  }

  void CheckCancelled() const {
    if (hub_.http.cancelled()) throw Cancelled();
  }

  // The progress line is the caller's thread's: it prints this too.
  void Say(std::string text) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(text));
    changed_.notify_all();
  }

  void ShowUntilDone(int64_t files) {
    Progress progress("pull", "bytes", static_cast<double>(plan_.remaining), options_.quiet);
    std::unique_lock lock(mutex_);
    while (true) {
      const bool done = running_ == 0;
      const std::vector<std::string> messages = std::exchange(messages_, {});
      const int64_t finished = finished_;
      lock.unlock();
      if (!messages.empty()) progress.Clear();
      for (const std::string& message : messages) spdlog::warn(message);
      progress.Update(static_cast<double>(std::max(arrived_.load(), int64_t{0})),
                      fmt::format("{} of {} files", finished, files));
      if (done) return;
      lock.lock();
      if (running_ > 0 && messages_.empty()) changed_.wait_for(lock, kTick);
    }
  }

  HubOptions hub_;
  const HubListing& listing_;
  const PullPlan& plan_;
  const fs::path& directory_;
  PullRecord& record_;
  const DownloadOptions options_;

  std::atomic<bool> stop_{false};
  std::atomic<size_t> next_{0};
  // Bytes that are there now and were not at the start; all bytes that came.
  std::atomic<int64_t> arrived_{0}, received_{0};

  std::mutex mutex_;  // what follows, and record_
  std::condition_variable changed_;
  std::exception_ptr error_;
  std::vector<std::string> messages_;
  int64_t finished_ = 0;
  int running_ = 0;
};

}  // namespace

int64_t DownloadFiles(const HubOptions& hub, const HubListing& listing, const PullPlan& plan,
                      const fs::path& directory, PullRecord& record,
                      const DownloadOptions& options) {
  Downloader downloader(hub, listing, plan, directory, record, options);
  downloader.Run();
  return downloader.received();
}

}  // namespace fathom
