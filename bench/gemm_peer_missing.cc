// Instead of gemm_peer_onednn.cc, where there is no oneDNN.

#include "gemm_peer.h"

namespace fathom {

std::string PeerVersion() { return ""; }
void CapPeerToAvx2() {}
void SetPeerThreads(int) {}
std::unique_ptr<GemmPeer> MakePeer(const GemmShape&, bool, int64_t) { return nullptr; }

}  // namespace fathom
