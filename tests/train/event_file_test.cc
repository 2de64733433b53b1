#include "train/event_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/temporary_directory.h"
#include "train/run_log.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using std::string_literals::operator""s;

// The one file of a folder, as the data of its records; their frames are checked.
std::vector<std::string> Records(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
  EXPECT_EQ(files.size(), 1u);
  EXPECT_TRUE(files[0].filename().string().starts_with("events.out.tfevents."));
  const std::string text = ReadFile(files[0]);
  std::vector<std::string> records;
  for (size_t at = 0; at < text.size();) {
    uint64_t size = 0;
    std::memcpy(&size, text.data() + at, sizeof(size));
    records.push_back(text.substr(at + 12, size));
    EXPECT_EQ(text.substr(at, 16 + size), EventRecord(records.back()));
    at += 16 + size;
  }
  return records;
}

TEST(EventFile, FramesRecordsAsTensorFlowDoes) {
  // What every file of TensorFlow's begins with: a record of 24 bytes (time and version).
  const std::string record = EventRecord(std::string(24, 'x'));
  EXPECT_EQ(record.substr(0, 12), "\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22"s);
  EXPECT_EQ(record.substr(12, 24), std::string(24, 'x'));
  // The checksum of 32 zeros is 0x8a9136aa (RFC 3720). Rotated by 15 bits it is 0x6d551522, and
  // with 0xa282ead8 added 0x0fd7fffa.
  EXPECT_EQ(EventRecord(std::string(32, '\0')).substr(44), "\xfa\xff\xd7\x0f"s);
}

TEST(EventFile, AStepIsScalarsOfItsStepAndTime) {
  EXPECT_EQ(EncodeEvent({{"kind", "step"}, {"step", 300}, {"loss", 0.5}, {"time", 1.0}}),
            "\x09\0\0\0\0\0\0\xf0\x3f"  // 1: wall_time, a double of 1
            "\x10\xac\x02"              // 2: step, 300
            "\x2a\x13"                  // 5: summary, 19 bytes
            "\x0a\x11"                  //   1: value, 17 bytes
            "\x0a\x0atrain/loss"        //     1: tag
            "\x15\0\0\0\x3f"s);         //     2: simple_value, a float of 0.5
}

TEST(EventFile, ListsAreAScalarAnElement) {
  const std::string event =
      EncodeEvent({{"kind", "step"}, {"step", 1}, {"mtp_loss", {2, 4}}, {"time", 1.0}});
  EXPECT_NE(event.find("\x0a\x10train/mtp_loss_1\x15\0\0\0\x40"s), std::string::npos);
  EXPECT_NE(event.find("\x0a\x10train/mtp_loss_2\x15\0\0\x80\x40"s), std::string::npos);
}

TEST(EventFile, ASampleIsText) {
  EXPECT_EQ(
      EncodeEvent(
          {{"kind", "sample"}, {"step", 2}, {"prompt", "a"}, {"text", "a\xff\nb"}, {"time", 1.0}}),
      "\x09\0\0\0\0\0\0\xf0\x3f"
      "\x10\x02"
      "\x2a\x2e"                 // 5: summary
      "\x0a\x2c"                 //   1: value
      "\x0a\x06sample"           //     1: tag
      "\x42\x18"                 //     8: tensor
      "\x08\x07"                 //       1: dtype, DT_STRING
      "\x12\x04"                 //       2: tensor_shape
      "\x12\x02\x08\x01"         //         2: dim, 1: size, 1
      "\x42\x0e"                 //       8: string_val, Markdown code
      "    a\xef\xbf\xbd"        //
      "\n    b"                  //
      "\x4a\x08"                 //     9: metadata
      "\x0a\x06\x0a\x04text"s);  //       1: plugin_data, 1: plugin_name
}

TEST(EventFile, WhatHasNothingToDrawIsLeftOut) {
  EXPECT_EQ(EncodeEvent({{"kind", "start"}, {"step", 0}, {"parameters", 5}, {"time", 1.0}}), "");
  EXPECT_EQ(EncodeEvent({{"kind", "step"}, {"step", 3}, {"time", 1.0}}), "");
}

TEST(EventFile, AResumedRunHasEachStepOnce) {
  const TemporaryDirectory directory;
  const fs::path log_path = directory / "log.jsonl", events = directory / "tensorboard";
  const auto step = [](int number) {
    return ordered_json{{"kind", "step"}, {"step", number}, {"loss", 1.5}, {"time", 7.5}};
  };
  {
    RunLog log(log_path, 0, events);
    for (int number = 1; number <= 5; ++number) log.Write(step(number));
  }
  // The checkpoint was at step 3.
  RunLog log(log_path, 3, events);
  log.Write(step(4));
  const std::vector<std::string> records = Records(events);
  ASSERT_EQ(records.size(), 6u);
  EXPECT_EQ(records[0].substr(9),
            "\x1a\x0d"
            "brain.Event:2");
  EXPECT_EQ(records[1].substr(9), "\x3a\x02\x08\x01");  // 7: session_log, 1: status, START
  for (int number = 1; number <= 4; ++number)
    EXPECT_EQ(records[static_cast<size_t>(number) + 1], EncodeEvent(step(number)));
}

TEST(EventFile, AFolderThatCannotBeMadeIsNamed) {
  const TemporaryDirectory directory;
  WriteFileAtomically(directory / "file", "");
  EXPECT_THROW(EventFile(directory / "file" / "events"), Error);
}

}  // namespace
}  // namespace fathom
