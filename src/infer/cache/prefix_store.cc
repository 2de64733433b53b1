#include "infer/cache/prefix_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMagic = "FATHOMKV";
constexpr std::string_view kExtension = ".page", kTemporary = ".tmp";
constexpr int64_t kQueueBytes = 256 << 20;
// The directory is read again after this part of the limit was written, because others write too.
constexpr int64_t kScansAFill = 16;

// A file begins with this; the tokens follow, then the page.
struct Header {
  char magic[8];
  uint32_t version = 1;
  uint32_t tokens;
  uint64_t page_bytes;
  uint8_t key[32];
  uint64_t checksum = 0;  // of all before and after it
};
static_assert(sizeof(Header) == 64);

uint64_t ChecksumOf(const Header& header, std::span<const std::byte> rest) {
  Hash64 hash;
  hash.Update(&header, offsetof(Header, checksum));
  hash.Update(rest.data(), rest.size());
  return hash.Digest();
}

Header HeaderOf(const PrefixKey& key, size_t tokens, size_t page_bytes) {
  Header header;
  std::memcpy(header.magic, kMagic.data(), sizeof(header.magic));
  header.tokens = static_cast<uint32_t>(tokens);
  header.page_bytes = page_bytes;
  std::ranges::copy(key.bytes(), header.key);
  return header;
}

// Sets the checksum: of the writer's time, not of the engine's.
void Seal(std::span<std::byte> content) {
  Header header;
  std::memcpy(&header, content.data(), sizeof(header));
  header.checksum = ChecksumOf(header, content.subspan(sizeof(header)));
  std::memcpy(content.data(), &header, sizeof(header));
}

// The process that is writing this file; nothing when it is not a piece of one.
std::optional<pid_t> WriterOf(const fs::path& path) {
  if (path.extension() != kTemporary) return std::nullopt;
  const std::string text = path.stem().extension().string();  // "KEY.PID.tmp"
  pid_t process = 0;
  if (text.size() < 2) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), process);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return process;
}

}  // namespace

PrefixStore::PrefixStore(fs::path directory, int64_t limit_bytes, int64_t page_bytes)
    : directory_(std::move(directory)), limit_bytes_(limit_bytes), page_bytes_(page_bytes) {
  std::error_code error;
  const bool made = fs::create_directories(directory_, error);
  if (error) {
    throw Error(directory_.string(), fmt::format("cannot be made: {}", error.message()),
                "give another directory for the cache");
  }
  if (made) fs::permissions(directory_, fs::perms::owner_all, error);
  std::unique_lock lock(mutex_);
  Scan();
  MakeRoom(0);
  writer_ = std::thread([this] { WriteLoop(); });
}

PrefixStore::~PrefixStore() {
  {
    const std::unique_lock lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  writer_.join();
}

fs::path PrefixStore::PathOf(const std::string& name) const {
  // 256 folders, so that none grows large.
  return directory_ / name.substr(0, 2) / (name + std::string(kExtension));
}

void PrefixStore::Scan() {
  struct Found {
    fs::file_time_type time;
    std::string name;
    int64_t bytes;
  };
  std::vector<Found> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;  // another process may remove what we see
    if (!it->is_regular_file(gone)) continue;
    const fs::path& path = it->path();
    if (const auto writer = WriterOf(path)) {
      if (kill(*writer, 0) != 0 && errno == ESRCH) fs::remove(path, gone);
      continue;
    }
    const std::string name = path.stem().string();
    if (path.extension() != kExtension || path != PathOf(name)) continue;
    const auto bytes = static_cast<int64_t>(it->file_size(gone));
    const auto time = it->last_write_time(gone);
    if (!gone) found.push_back({time, name, bytes});
  }
  if (error) {
    throw Error(directory_.string(), fmt::format("cannot be read: {}", error.message()),
                "give another directory for the cache");
  }
  std::ranges::sort(found, {}, [](const Found& file) { return std::pair(file.time, file.name); });
  files_.clear();
  by_use_.clear();
  statistics_.files = statistics_.bytes = 0;
  for (const Found& file : found) Add(file.name, file.bytes);
  written_since_scan_ = 0;
}

void PrefixStore::Add(const std::string& name, int64_t bytes) {
  Forget(name);
  files_[name] = {bytes, by_use_.insert(by_use_.end(), name)};
  ++statistics_.files;
  statistics_.bytes += bytes;
}

void PrefixStore::Forget(const std::string& name) {
  const auto found = files_.find(name);
  if (found == files_.end()) return;
  --statistics_.files;
  statistics_.bytes -= found->second.bytes;
  by_use_.erase(found->second.place);
  files_.erase(found);
}

void PrefixStore::MakeRoom(int64_t bytes) {
  while (!by_use_.empty() && statistics_.bytes + bytes > limit_bytes_) {
    const std::string name = by_use_.front();
    std::error_code ignored;
    fs::remove(PathOf(name), ignored);
    Forget(name);
  }
}

bool PrefixStore::Contains(const PrefixKey& key) const {
  const std::unique_lock lock(mutex_);
  const std::string name = key.ToHex();
  return files_.contains(name) || queued_.contains(name);
}

bool PrefixStore::Load(const PrefixKey& key, std::span<const int32_t> tokens,
                       std::span<std::byte> page) {
  const std::string name = key.ToHex();
  {
    const std::unique_lock lock(mutex_);
    if (!files_.contains(name)) return false;
  }
  const fs::path path = PathOf(name);
  const auto done = [&](bool good, const char* damage) {
    const std::unique_lock lock(mutex_);
    const auto found = files_.find(name);
    if (good) {
      ++statistics_.loaded;
      if (found != files_.end()) by_use_.splice(by_use_.end(), by_use_, found->second.place);
    } else {
      Forget(name);
    }
    if (damage != nullptr) {
      ++statistics_.damaged;
      spdlog::warn("{}: {}; it is removed and computed again", path.string(), damage);
      std::error_code ignored;
      fs::remove(path, ignored);
    }
    return good;
  };
  // Read, not mapped: a file that somebody cuts off would end this process.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return done(false, nullptr);  // another process has removed it
  const Header expected = HeaderOf(key, tokens.size(), page.size());
  std::vector<std::byte> content(sizeof(Header) + tokens.size_bytes() + page.size() + 1);
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t count = read(descriptor, content.data() + size, content.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    size += static_cast<size_t>(count);
  }
  // When it was last used, for the next process that has to make room.
  futimens(descriptor, nullptr);
  close(descriptor);
  if (size != content.size() - 1) return done(false, "has the wrong size");
  Header header;
  std::memcpy(&header, content.data(), sizeof(header));
  const std::span<const std::byte> rest(content.data() + sizeof(header), size - sizeof(header));
  if (std::memcmp(&header, &expected, offsetof(Header, checksum)) != 0) {
    return done(false, "is not what its name says");
  }
  if (header.checksum != ChecksumOf(header, rest)) return done(false, "has the wrong checksum");
  if (std::memcmp(rest.data(), tokens.data(), tokens.size_bytes()) != 0) {
    return done(false, "holds other tokens");
  }
  std::memcpy(page.data(), rest.data() + tokens.size_bytes(), page.size());
  return done(true, nullptr);
}

bool PrefixStore::Save(const PrefixKey& key, std::span<const int32_t> tokens,
                       std::vector<std::byte> page) {
  FATHOM_CHECK(static_cast<int64_t>(page.size()) == page_bytes_);
  const Header header = HeaderOf(key, tokens.size(), page.size());
  Job job{key.ToHex(), std::vector<std::byte>(sizeof(Header) + tokens.size_bytes() + page.size())};
  std::byte* const rest = job.content.data() + sizeof(Header);
  std::memcpy(rest, tokens.data(), tokens.size_bytes());
  std::memcpy(rest + tokens.size_bytes(), page.data(), page.size());
  std::memcpy(job.content.data(), &header, sizeof(header));
  const auto bytes = static_cast<int64_t>(job.content.size());
  {
    const std::unique_lock lock(mutex_);
    if (failed_ || bytes > limit_bytes_ || queued_bytes_ + bytes > kQueueBytes) {
      ++statistics_.dropped;
      return false;
    }
    queued_[job.name] = bytes;
    queued_bytes_ += bytes;
    queue_.push_back(std::move(job));
  }
  work_.notify_one();
  return true;
}

void PrefixStore::Flush() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return queue_.empty() && !writing_; });
}

PrefixStore::Statistics PrefixStore::statistics() const {
  const std::unique_lock lock(mutex_);
  return statistics_;
}

void PrefixStore::WriteLoop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    const auto bytes = static_cast<int64_t>(job.content.size());
    writing_ = true;
    std::string problem;
    if (!failed_) {
      try {
        if (written_since_scan_ > limit_bytes_ / kScansAFill) Scan();
        MakeRoom(bytes);
        lock.unlock();
        Seal(job.content);
        Write(job);
        lock.lock();
        Add(job.name, bytes);
        ++statistics_.saved;
        written_since_scan_ += bytes;
      } catch (const Error& error) {
        problem = error.what();
        if (!lock.owns_lock()) lock.lock();
      }
    }
    if (failed_ || !problem.empty()) ++statistics_.dropped;
    if (!problem.empty()) {
      failed_ = true;
      spdlog::warn("{}; no more prefixes are written", problem);
    }
    queued_.erase(job.name);
    queued_bytes_ -= bytes;
    writing_ = false;
    done_.notify_all();
  }
}

void PrefixStore::Write(const Job& job) {
  const fs::path path = PathOf(job.name);
  const fs::path temporary =
      path.parent_path() / fmt::format("{}.{}{}", job.name, getpid(), kTemporary);
  const auto fail = [&](const char* doing) {
    const std::string reason = std::strerror(errno);
    unlink(temporary.c_str());
    throw Error(temporary.string(), fmt::format("{}: {}", doing, reason));
  };
  if (mkdir(path.parent_path().c_str(), 0700) != 0 && errno != EEXIST) fail("cannot be made");
  const int descriptor = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) fail("cannot be created");
  size_t done = 0;
  while (done < job.content.size()) {
    const ssize_t count = write(descriptor, job.content.data() + done, job.content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      close(descriptor);
      fail("cannot be written");
    }
    done += static_cast<size_t>(count);
  }
  if (close(descriptor) != 0) fail("cannot be written");
  // Where a process of another machine or container took ours for a leftover, it is only lost.
  if (rename(temporary.c_str(), path.c_str()) != 0 && errno != ENOENT) {
    fail("cannot be put in place");
  }
}

}  // namespace fathom
