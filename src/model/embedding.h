#pragma once

#include "model/parameters.h"
#include "ops/backend.h"

namespace fathom {

// y [rows, hidden] = the rows `ids` of an embedding, decoded on the way where a file holds it in a
// type that nothing computes with.
inline void LookUp(Context& context, const Parameter& embedding, ConstTensor ids, Tensor y) {
  if (embedding.value.empty()) {
    context.backend->GatherStoredRows(context, *embedding.stored, ids, y);
  } else {
    context.backend->GatherRows(context, embedding.value, ids, y);
  }
}

}  // namespace fathom
