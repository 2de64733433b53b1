#include "tensor/dtype.h"

#include "base/error.h"

namespace fathom {

size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
      return 2;
    case DType::kE4M3:
    case DType::kE4M3Ue8m0:
    case DType::kE4M3Tensor:
    case DType::kE5M6:
      return 1;
    case DType::kQ8_0:
    case DType::kQ4_0:
    case DType::kQ4K:
    case DType::kQ6K:
      break;
  }
  FATHOM_CHECK(false, "dtype {}", static_cast<int>(dtype));
}

std::string_view Name(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return "f64";
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kI32:
      return "i32";
    case DType::kE4M3:
      return "e4m3";
    case DType::kE4M3Ue8m0:
      return "e4m3-ue8m0";
    case DType::kE4M3Tensor:
      return "e4m3-tensor";
    case DType::kE5M6:
      return "e5m6";
    case DType::kQ8_0:
      return "q8_0";
    case DType::kQ4_0:
      return "q4_0";
    case DType::kQ4K:
      return "q4_k";
    case DType::kQ6K:
      return "q6_k";
  }
  FATHOM_CHECK(false, "dtype {}", static_cast<int>(dtype));
}

}  // namespace fathom
