#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/tasks/task_problem.h"

namespace fathom {

// Problems by what a user calls them.
struct NamedTask {
  std::string name;
  std::string fingerprint;  // of what it holds
  std::vector<TaskProblem> problems;
  std::vector<TaskProblem> examples;
};

// task: a file of problems, or a generated task "KIND" or "KIND:DIFFICULTY" (held-out problems, its
// examples from those for training). limit: problems at most, the first ones; 0: all of a file, 500
// generated ones. shots: examples wanted; example_file: where they come from, empty for a generated
// task's own. names: what the user gave them by, for errors. Throws UsageError for a task that
// there is none of, Error for bad files.
struct TaskOptionNames {
  std::string task = "--task", limit = "--limit", shots = "--shots", examples = "--examples";
};
NamedTask LoadTask(const std::string& task, size_t limit, size_t shots,
                   const std::filesystem::path& example_file, const TaskOptionNames& names = {});

// "3" or "1-4"; UsageError(`where`) for anything else, and beyond kMostDifficult.
struct DifficultyRange {
  int least = 1, most = 1;
};
DifficultyRange ParseDifficulty(const std::string& text, std::string_view where);

}  // namespace fathom
