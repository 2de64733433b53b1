#pragma once

#include <cstdint>

#include "data/token_rows.h"

namespace fathom {

// Endless rows to train on. Row g of a run is a pure function of what the source was made from and
// of g: a checkpoint keeps the number of rows used, and nothing else, to go on exactly.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Rows [first, first + count) of the run.
  virtual void Read(uint64_t first, int64_t count, TokenRows& batch) = 0;
  // A hash of everything that decides the rows: equal means that a resumed run goes on with the
  // data it would have seen.
  virtual uint64_t Fingerprint() const = 0;
};

}  // namespace fathom
