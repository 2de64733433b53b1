#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "data/token_rows.h"

namespace fathom {

// Sums over examples by name: "loss" always, and whatever else the log is to show the mean of.
using ObjectiveSums = std::map<std::string, double>;

// A loss over what the model's head makes of the rows' targets (LossOptions::doutput), in place of
// the mean -logprob of each.
class RowObjective {
 public:
  virtual ~RowObjective() = default;
  // The loss of a step is the mean over so many examples of its rows.
  virtual int64_t Count(const TokenRows& rows) const = 0;
  // outputs [rows.rows * rows.length]: of the head. Adds to the gradient (as many) of the sum of
  // the examples' losses.
  virtual ObjectiveSums Loss(const TokenRows& rows, std::span<const double> outputs,
                             std::span<double> gradient) const = 0;
};

}  // namespace fathom
