#include "posttrain/verifier/confinement.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace fathom {
namespace {

// Newer calls than Debian 12's headers know.
constexpr long kIoUringSetup = 425;
constexpr uint64_t kTruncateAccess = uint64_t{1} << 14;  // LANDLOCK_ACCESS_FS_TRUNCATE, ABI 3

// The numbers of x32 begin here; on x86-64 they are calls of another ABI.
constexpr uint32_t kX32 = 0x40000000;

sock_filter Statement(uint16_t code, uint32_t value) { return {code, 0, 0, value}; }
sock_filter Jump(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  return {code, if_true, if_false, value};
}

uint64_t WriteAccess(long abi) {
  uint64_t access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
  if (abi >= 2) access |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) access |= kTruncateAccess;
  return access;
}

bool AddRule(int rules, const char* path, uint64_t access) {
  const int descriptor = open(path, O_PATH | O_CLOEXEC);
  if (descriptor < 0) return false;
  landlock_path_beneath_attr rule = {};
  rule.allowed_access = access;
  rule.parent_fd = descriptor;
  const long result = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  close(descriptor);
  return result == 0;
}

}  // namespace

std::vector<sock_filter> RefusedCalls(bool keep_group) {
  std::vector<long> calls = {SYS_socket,
                             kIoUringSetup,
                             SYS_ptrace,
                             SYS_process_vm_readv,
                             SYS_process_vm_writev,
                             SYS_unshare,
                             SYS_setns,
                             SYS_mount,
                             SYS_umount2,
                             SYS_pivot_root,
                             SYS_chroot,
                             SYS_bpf,
                             SYS_perf_event_open,
                             SYS_userfaultfd,
                             SYS_keyctl,
                             SYS_add_key,
                             SYS_request_key,
                             SYS_init_module,
                             SYS_finit_module,
                             SYS_kexec_load,
                             SYS_open_by_handle_at};
  if (keep_group) calls.insert(calls.end(), {SYS_setsid, SYS_setpgid});
  std::vector<sock_filter> filter = {
      Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      Jump(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      Statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      Jump(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1),
      Statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  for (const long call : calls) {
    filter.push_back(Jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES));
  }
  filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return filter;
}

bool ApplyFilter(std::vector<sock_filter>& filter) {
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

int MakeWriteRules(const char* directory) {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return -1;
  landlock_ruleset_attr attributes = {};
  attributes.handled_access_fs = WriteAccess(abi);
  const auto rules =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0));
  if (rules < 0) return -1;
  const uint64_t device = LANDLOCK_ACCESS_FS_WRITE_FILE | (abi >= 3 ? kTruncateAccess : 0);
  if (AddRule(rules, directory, WriteAccess(abi)) && AddRule(rules, "/dev/null", device)) {
    return rules;
  }
  close(rules);
  return -1;
}

bool ApplyWriteRules(int rules) { return syscall(SYS_landlock_restrict_self, rules, 0) == 0; }

}  // namespace fathom
