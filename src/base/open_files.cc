#include "base/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace fathom {

int64_t AllowOpenFiles(int64_t count) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t wanted = std::min(static_cast<rlim_t>(count), limit.rlim_max);
  if (limit.rlim_cur < wanted) {
    const rlimit raised = {wanted, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit.rlim_cur = wanted;
  }
  return static_cast<int64_t>(std::min(limit.rlim_cur, static_cast<rlim_t>(INT64_MAX)));
}

}  // namespace fathom
