#pragma once

#include <linux/filter.h>

#include <vector>

namespace fathom {

// The system calls that a cut-off process is refused (EACCES): sockets of every kind and io_uring,
// which can make them; ptrace and its relatives; new namespaces, mounts, kernel keys, BPF, modules.
// Calls of another architecture's numbering end the process. keep_group: also what leaves a process
// group, for where there is no namespace that holds the processes together.
std::vector<sock_filter> RefusedCalls(bool keep_group);

// Between fork and exec: the calling thread may gain no privileges any more and has the filter from
// now on. False when the kernel refuses. Safe in a process forked from one with threads.
bool ApplyFilter(std::vector<sock_filter>& filter);

// A ruleset (a descriptor) by which files are only written beneath a directory and in /dev/null; -1
// where the kernel has no Landlock. Reading is not restricted.
int MakeWriteRules(const char* directory);
// Between fork and exec, after ApplyFilter. False when the kernel refuses.
bool ApplyWriteRules(int rules);

}  // namespace fathom
