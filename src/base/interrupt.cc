#include "base/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace fathom {
namespace {

std::atomic<int> requested{0};
static_assert(std::atomic<int>::is_always_lock_free, "it is written by a signal handler");

struct sigaction previous_int, previous_term;

// An eventfd that can be read once a signal has asked, open from the first guard on. Any thread may
// get the signal, so that it need not interrupt the wait of the thread that cares; this does.
int event = -1;
// Guards that live.
int depth = 0;

void Handle(int signal) {
  if (requested.exchange(signal) != 0) _exit(128 + signal);
  const int error = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = write(event, &one, sizeof(one));
  errno = error;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  if (depth > 0) {
    ++depth;
    return;
  }
  if (event < 0) event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (event < 0) throw Error("waiting for signals", std::strerror(errno));
  Forget();
  struct sigaction action {};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGTERM, &action, &previous_term);
  depth = 1;
}

InterruptGuard::~InterruptGuard() {
  if (--depth > 0) return;
  Forget();  // the next piece of work has not been asked to stop
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGTERM, &previous_term, nullptr);
}

int InterruptGuard::Signal() { return requested.load(std::memory_order_relaxed); }

void InterruptGuard::Forget() {
  requested = 0;
  uint64_t count;
  [[maybe_unused]] const ssize_t size = read(event, &count, sizeof(count));
}

bool InterruptGuard::WaitReadable(int descriptor) {
  pollfd wait[] = {{.fd = descriptor, .events = POLLIN, .revents = 0},
                   {.fd = event, .events = POLLIN, .revents = 0}};
  while (!Requested() && wait[0].revents == 0) {
    if (poll(wait, 2, -1) < 0 && errno != EINTR) {
      throw Error("waiting for input", std::strerror(errno));
    }
  }
  return !Requested();
}

void InterruptGuard::ThrowIfRequested(std::string_view work) {
  if (Requested()) throw Error(work, "was interrupted");
}

}  // namespace fathom
