#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/tasks/task_problem.h"

namespace fathom {

// The problems of a JSONL file, plain or compressed (.zst), one a line, in any of these forms:
//   {"question": TEXT, "answer": TEXT|NUMBER|[...], "kind", "choices", "numbers", "system",
//    "solution", "response", "id"}; "messages" or "prompt" in place of "question"
//   GSM8K's:  {"question", "answer": "worked solution\n#### 42"}
//   MATH's:   {"problem", "solution", "answer"}
// "choices" with an "answer" that is a letter, a number from 0 on, or one of them, is multiple
// choice; all else is "math" unless "kind" says otherwise. The id is "id", or else the line number.
//
// Throws Error("FILE:LINE", ...) for a row that lacks what it needs; for a file without rows; and
// for an id that comes twice. limit: reads no more than so many problems; 0: all of them.
//
// answers: kOptional takes rows that have a question and nothing to judge an answer with, too.
enum class TaskAnswers : uint8_t { kRequired, kOptional };
std::vector<TaskProblem> ReadTaskFile(const std::filesystem::path& path, size_t limit = 0,
                                      TaskAnswers answers = TaskAnswers::kRequired);
// One row of such a file; other_id: where it has no "id". Same errors.
TaskProblem ReadTaskRow(const JsonValue& row, std::string_view where, std::string_view other_id,
                        TaskAnswers answers = TaskAnswers::kRequired);

}  // namespace fathom
