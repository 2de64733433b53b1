#pragma once

#include <memory>
#include <string>

#include "gemm_shapes.h"

namespace fathom {

// One product as oneDNN computes it: the fastest of the primitives that can (matmul; inner
// product), weights in the layout that it asks for, activations and dW row by row as Fathom has
// them.
class GemmPeer {
 public:
  virtual ~GemmPeer() = default;
  // Over one of the sets of operands.
  virtual void Run(int64_t copy) = 0;
  // Which kernel oneDNN chose.
  virtual std::string implementation() const = 0;
};

// "2.6.3", or "" when the build had no oneDNN.
std::string PeerVersion();
// Before anything else: no instructions beyond AVX2.
void CapPeerToAvx2();
void SetPeerThreads(int threads);
// With `copies` sets of operands of one size.
std::unique_ptr<GemmPeer> MakePeer(const GemmShape& shape, bool bf16, int64_t copies);

}  // namespace fathom
