#pragma once

#include <string>

#include "infer/loaded_model.h"

namespace fathom {

// What the rows of a cache are a function of besides the tokens, hashed: the configuration, the
// weights, what is computed in and stored as, and this build of the program on this kind of
// processor. For the names of files that outlive the process.
//
// The weights are told apart by their files' sizes and times of change, the list of tensors, and
// one row each of some hundred of them, so that a large model opens fast: a change of a weight that
// keeps the file's time and size and misses those rows is not seen.
std::string ModelIdentity(const LoadedModel& model, const Backend& backend, CacheFormat format);

}  // namespace fathom
