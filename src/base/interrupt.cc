#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "base/error.h"

namespace fathom {
namespace {

std::atomic<int> requested{0};
static_assert(std::atomic<int>::is_always_lock_free, "it is written by a signal handler");

struct sigaction previous_int, previous_term;

void Handle(int signal) {
  if (requested.exchange(signal) != 0) _exit(128 + signal);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  requested = 0;
  struct sigaction action {};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGTERM, &action, &previous_term);
}

InterruptGuard::~InterruptGuard() {
  requested = 0;  // the next piece of work has not been asked to stop
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGTERM, &previous_term, nullptr);
}

int InterruptGuard::Signal() { return requested.load(std::memory_order_relaxed); }

void InterruptGuard::ThrowIfRequested(std::string_view work) {
  if (Requested()) throw Error(work, "was interrupted");
}

}  // namespace fathom
