#include "model/kept.h"

#include "ops/backend.h"

namespace fathom {

Tensor InType(Context& context, Tensor x, DType dtype, Arena& arena) {
  if (x.dtype() == dtype) return x;
  const Tensor y = arena.New(dtype, x.shape());
  context.backend->Cast(context, x, y);
  return y;
}

}  // namespace fathom
