#pragma once

#include <filesystem>

namespace fathom {

// The PEM files of a server that speaks TLS: its certificate, followed by those that lead to one
// that clients know, and the certificate's private key. Both or none.
struct TlsFiles {
  std::filesystem::path certificate, key;
  bool empty() const { return certificate.empty(); }
};

}  // namespace fathom
