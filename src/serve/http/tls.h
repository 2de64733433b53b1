#pragma once

#include <filesystem>

namespace fathom {

// The PEM files of a server that speaks TLS: its certificate, followed by those that lead to one
// that clients know, and the certificate's private key. Both or none.
struct TlsFiles {
  std::filesystem::path certificate, key;
  bool empty() const { return certificate.empty(); }
};

// Error that names the file when one cannot be used, as WebServer has it: for who has long work to
// do before.
void CheckTls(const TlsFiles& files);

}  // namespace fathom
