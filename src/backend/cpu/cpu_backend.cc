#include "backend/cpu/cpu_backend.h"

#include <cpuid.h>

#include <cstring>

#include "backend/cpu/work.h"

namespace fathom {

namespace {

// F16C, MOVBE and LZCNT, which __builtin_cpu_supports does not know in every compiler.
bool HasFeaturesBesideAvx2() {
  unsigned a, b, c, d;
  constexpr unsigned kWanted = bit_F16C | bit_MOVBE;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kWanted) != kWanted) return false;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_LZCNT) != 0;
}

// AMD's family of that number.
bool IsAmdFamily(unsigned family) {
  unsigned a, b, c, d;
  if (__get_cpuid(0, &a, &b, &c, &d) == 0 || b != signature_AMD_ebx) return false;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  return (a >> 8 & 15) + (a >> 20 & 255) == family;
}

}  // namespace

// Zen 3 and 4 (family 0x19) see streams by themselves, and are disturbed: products of one to four
// rows were 1.2 to 1.7 times as slow on Zen 4. Zen 5 is up to twice as fast with it.
bool cpu::AsksAhead() {
  static const bool asks = !IsAmdFamily(0x19);
  return asks;
}

bool HasCpuTarget(CpuTarget target) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    HasFeaturesBesideAvx2();
  if (target != CpuTarget::kAvx512) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512vnni");
}

std::unique_ptr<Backend> CreateCpuBackend(CpuTarget target) {
  if (target == CpuTarget::kBest) {
    target = HasCpuTarget(CpuTarget::kAvx512) ? CpuTarget::kAvx512 : CpuTarget::kAvx2;
  }
  if (!HasCpuTarget(target)) {
    throw Error(
        "cpu",
        target == CpuTarget::kAvx2
            ? "this processor has no AVX2 with FMA, which the kernels need"
            : "this processor has no AVX-512 with bf16 and int8 dot products",
        target == CpuTarget::kAvx2 ? "any x86-64 processor made since about 2015 has them" : "");
  }
  return std::make_unique<CpuBackend>(target == CpuTarget::kAvx512 ? cpu::Avx512Kernels()
                                                                   : cpu::Avx2Kernels());
}

void CpuBackend::CopyFromHost(ConstTensor host, Tensor y) {
  cpu::CheckShape(host, y.shape(), "host");
  FATHOM_CHECK(host.dtype() == y.dtype() && host.contiguous() && y.contiguous());
  if (y.elements() > 0) std::memcpy(y.raw(), host.raw(), static_cast<size_t>(y.bytes()));
}

void CpuBackend::CopyToHost(ConstTensor x, Tensor host) { CopyFromHost(x, host); }

void CpuBackend::LoadRows(Context& context, const StoredTensor& x, int64_t begin, Tensor y) {
  ReadRows(*context.pool, x, begin, y);
}

}  // namespace fathom
