#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace fathom {

// Why a request is not taken from who sends it.
class AccessError : public std::runtime_error {
 public:
  enum class Reason : uint8_t {
    kNoKey,       // none was given, or what was given is none
    kForbidden,   // the key's role is not enough
    kRate,        // too many requests, or tokens, of the key; later it may go
    kTooLarge,    // more tokens than the key can ever have at once
    kBudget,      // what is left of the key's budget is not enough
    kLedger,      // the ledger cannot be written
    kOverloaded,  // it would have to wait too long
  };

  // retry_seconds: when it is worth another try; 0: not by waiting, or nobody knows.
  AccessError(Reason reason, const std::string& message, int64_t retry_seconds = 0)
      : std::runtime_error(message), reason_(reason), retry_seconds_(retry_seconds) {}

  Reason reason() const { return reason_; }
  int64_t retry_seconds() const { return retry_seconds_; }

 private:
  Reason reason_;
  int64_t retry_seconds_;
};

// Why something is refused; nothing: it is not.
using Refusal = std::optional<AccessError>;

}  // namespace fathom
