#pragma once

#include <string_view>

namespace fathom {

// While it lives, the first SIGINT or SIGTERM sets a flag that long work polls, so that it can stop
// in good order; the second one ends the process at once. A guard inside of another is part of it:
// what is asked of the one is asked of both, until the outer one ends. Of one thread.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool Requested() { return Signal() != 0; }
  // The signal that asked; 0: none has.
  static int Signal();
  // Waits until the descriptor can be read (its end can, too); false: a signal has asked.
  static bool WaitReadable(int descriptor);
  // What was asked has been done; the next signal is the first again.
  static void Forget();
  // Throws Error("WORK", "was interrupted") when it has been.
  static void ThrowIfRequested(std::string_view work);
};

}  // namespace fathom
