#include "train/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/directories.h"
#include "base/hash.h"
#include "text/utf8.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kPrefix = "events.out.tfevents.";
// TensorFlow's DT_STRING, and SessionLog.START: a reader that has seen a file of this run before
// forgets what came from it.
constexpr uint64_t kStringType = 7;
constexpr uint64_t kSessionStart = 1;

double UnixSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// A message of protocol buffers, field by field.
class Message {
 public:
  void Varint(int field, uint64_t value) {
    Tag(field, 0);
    Number(value);
  }
  void Double(int field, double value) {
    Tag(field, 1);
    Fixed(value);
  }
  void Float(int field, float value) {
    Tag(field, 5);
    Fixed(value);
  }
  void Bytes(int field, std::string_view value) {
    Tag(field, 2);
    Number(value.size());
    bytes_ += value;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Tag(int field, uint64_t wire_type) { Number(static_cast<uint64_t>(field) << 3 | wire_type); }
  void Number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  template <typename T>
  void Fixed(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes_.append(raw, sizeof(T));
  }

  std::string bytes_;
};

std::string ScalarValue(std::string_view tag, double number) {
  Message value;
  value.Bytes(1, tag);
  value.Float(2, static_cast<float>(number));
  return value.bytes();
}

// A tensor of one string, for the text plugin.
std::string TextValue(std::string_view tag, std::string_view text) {
  Message dimension, shape, tensor, plugin, metadata, value;
  dimension.Varint(1, 1);
  shape.Bytes(2, dimension.bytes());
  tensor.Varint(1, kStringType);
  tensor.Bytes(2, shape.bytes());
  tensor.Bytes(8, text);
  plugin.Bytes(1, "text");
  metadata.Bytes(1, plugin.bytes());
  value.Bytes(1, tag);
  value.Bytes(8, tensor.bytes());
  value.Bytes(9, metadata.bytes());
  return value.bytes();
}

// TensorBoard shows text as Markdown: what a model wrote is indented, so that it is code and stands
// as it is.
std::string AsCode(std::string_view text) {
  std::string code = "    ";
  for (const char c : text) {
    code += c;
    if (c == '\n') code += "    ";
  }
  return code;
}

std::vector<std::string> Values(const ordered_json& line) {
  std::vector<std::string> values;
  const std::string kind = line.value("kind", "");
  const std::string group = kind == "step" ? "train" : kind;
  if (kind == "start") return values;
  for (const auto& [key, value] : line.items()) {
    const std::string tag = fmt::format("{}/{}", group, key);
    if (key == "step" || key == "time") continue;
    if (value.is_number()) {
      values.push_back(ScalarValue(tag, value.get<double>()));
    } else if (value.is_array()) {
      for (size_t i = 0; i < value.size(); ++i) {
        if (value[i].is_number())
          values.push_back(ScalarValue(fmt::format("{}_{}", tag, i + 1), value[i].get<double>()));
      }
    }
  }
  if (kind == "sample") {
    const std::string text = ReplaceInvalidUtf8(line.value("text", ""));
    values.push_back(TextValue("sample", AsCode(text)));
  }
  return values;
}

// When and at which step, the beginning of every Event.
Message EventAt(double time, int64_t step) {
  Message event;
  event.Double(1, time);
  if (step != 0) event.Varint(2, static_cast<uint64_t>(step));
  return event;
}

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "host";
  for (char* c = name; *c != '\0'; ++c) {
    if (std::isalnum(static_cast<unsigned char>(*c)) == 0 && *c != '-' && *c != '.') *c = '_';
  }
  return name;
}

}  // namespace

std::string EventRecord(std::string_view data) {
  const auto masked = [](std::string_view bytes) {
    return std::rotr(Crc32c(bytes), 15) + 0xa282ead8u;
  };
  const auto raw = [](auto value) {
    std::string bytes(sizeof(value), '\0');
    std::memcpy(bytes.data(), &value, sizeof(value));
    return bytes;
  };
  const std::string length = raw(static_cast<uint64_t>(data.size()));
  return length + raw(masked(length)) + std::string(data) + raw(masked(data));
}

std::string EncodeEvent(const ordered_json& line) {
  const std::vector<std::string> values = Values(line);
  if (values.empty()) return {};
  Message summary;
  for (const std::string& value : values) summary.Bytes(1, value);
  Message event = EventAt(line.value("time", 0.0), line.value("step", int64_t{0}));
  event.Bytes(5, summary.bytes());
  return event.bytes();
}

EventFile::EventFile(const fs::path& directory) {
  CreateDirectories(directory);
  std::vector<fs::path> before;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().starts_with(kPrefix)) before.push_back(entry.path());
  }
  const double now = UnixSeconds();
  fs::path path;
  for (int number = 0; path.empty() || fs::exists(path); ++number) {
    path = directory / fmt::format("{}{:010}.{}.{}.{}", kPrefix, static_cast<int64_t>(now),
                                   HostName(), getpid(), number);
  }
  file_.emplace(path, kFullDiskHint);
  Message version = EventAt(now, 0);
  version.Bytes(3, "brain.Event:2");
  Message start, status;
  status.Varint(1, kSessionStart);
  start = EventAt(now, 0);
  start.Bytes(7, status.bytes());
  file_->Write(EventRecord(version.bytes()) + EventRecord(start.bytes()));
  for (const fs::path& old : before) fs::remove(old);
}

void EventFile::Add(const ordered_json& line) {
  const std::string event = EncodeEvent(line);
  if (!event.empty()) file_->Write(EventRecord(event));
}

}  // namespace fathom
