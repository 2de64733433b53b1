#pragma once

#include "ops/context.h"
#include "tensor/arena.h"

namespace fathom {

// A matrix in another type, in `arena`; itself where it has that type.
Tensor InType(Context& context, Tensor x, DType dtype, Arena& arena);

// What a norm gives to the layers behind it: its output, and as the projections multiply it, the
// same or its codes.
struct NormedInput {
  ConstTensor act;      // [T, hidden]; may be empty in backward where only the router wants it
  ConstTensor operand;  // [T, hidden]
};

}  // namespace fathom
