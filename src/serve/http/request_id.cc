#include "serve/http/request_id.h"

#include <fmt/format.h>

#include <cstdint>
#include <random>

namespace fathom {

std::string NewRequestId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", static_cast<uint32_t>(device()));
  return id;
}

}  // namespace fathom
