#include "infer/cache/prefix_key.h"

#include <algorithm>

#include "base/message_digest.h"

namespace fathom {

PrefixKey PrefixKey::Root(std::string_view model, std::string_view salt) {
  MessageDigest digest(MessageDigest::Kind::kSha256);
  digest.UpdateField("fathom prefix");
  digest.UpdateField(model);
  digest.UpdateField(salt);
  PrefixKey key;
  std::ranges::copy(digest.Finish(), key.bytes_.begin());
  return key;
}

PrefixKey PrefixKey::Child(std::span<const int32_t> tokens) const {
  MessageDigest digest(MessageDigest::Kind::kSha256);
  digest.Update(bytes_.data(), bytes_.size());
  digest.Update(tokens.data(), tokens.size_bytes());
  PrefixKey key;
  std::ranges::copy(digest.Finish(), key.bytes_.begin());
  return key;
}

std::string PrefixKey::ToHex() const { return fathom::ToHex({bytes_.begin(), bytes_.end()}); }

}  // namespace fathom
