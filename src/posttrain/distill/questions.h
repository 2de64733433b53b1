#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tasks/task_problem.h"
#include "posttrain/distill/distill_config.h"

namespace fathom {

// What a teacher is asked.
struct Question {
  TaskProblem problem;                // answers: empty where nothing says what is right
  std::vector<ChatMessage> messages;  // as it is asked
  uint64_t hash = 0;                  // of the messages: what its traces are known by
  std::string difficulty;             // the row's "difficulty" or "level"; may be empty
};

struct QuestionSet {
  std::vector<Question> questions;
  uint64_t repeated = 0;  // left out: the same messages had come before
};

// The questions of all sources, in their order. Throws Error for sources that cannot be read, and
// for generators that have fewer problems than are asked for.
QuestionSet ReadQuestions(const DistillConfig& config);

// One answer that is wanted.
struct TraceJob {
  const Question* question;
  int64_t sample = 0;  // which of the answers to it
  uint64_t seed = 0;

  std::string Id() const;  // of its trace
};

// The seed of a sample: of the run's seed, the question and the sample's number alone, below 2^31
// (some endpoints take no more).
uint64_t SampleSeed(uint64_t seed, const Question& question, int64_t sample);

}  // namespace fathom
