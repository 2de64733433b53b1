#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "posttrain/distill/questions.h"
#include "posttrain/distill/trace.h"

namespace fathom {

// What a teacher tells while it answers; on the thread that asked.
class TeacherListener {
 public:
  virtual ~TeacherListener() = default;
  virtual void OnAnswer(size_t job, TeacherAnswer answer) = 0;
  // It cannot be answered, or not as it is asked; others can.
  virtual void OnRefused(size_t job, const std::string& why) = 0;
  // Called again and again. tokens: written so far, as far as is known. False: no more is to be
  // asked; what an endpoint has been asked already is still waited for.
  virtual bool GoesOn(int64_t tokens) = 0;
};

// Who answers questions.
class Teacher {
 public:
  virtual ~Teacher() = default;
  // Has all jobs answered, in whatever order. Throws Error when the teacher is lost: what was
  // answered before has been told.
  virtual void Answer(std::span<const TraceJob> jobs, TeacherListener& listener) = 0;
};

}  // namespace fathom
