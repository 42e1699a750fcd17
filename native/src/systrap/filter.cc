// The system calls that the host grants a stub process: seccomp(2) programs in classic BPF.
//
// Only calls made from the stub's code page pass; every other one traps, which is how an
// application's calls reach the Sentry. The filter of a process admits what its memory thread does;
// application threads put a second one on top that leaves next to nothing.

#include <linux/futex.h>
#include <sys/syscall.h>

#include <cstddef>

#include "../stub_filter.h"
#include "layout.h"
#include "stub.h"

namespace runsc::systrap {
namespace {

constexpr size_t Argument(size_t i) { return offsetof(seccomp_data, args) + 8 * i; }

}  // namespace

size_t WriteProcessFilter(sock_filter* into) {
  FilterWriter w{into, SECCOMP_RET_TRAP};
  w.RequireStub(kCode);
  constexpr uint32_t kAllowed[] = {
      SYS_rt_sigreturn, SYS_futex,       SYS_write,   SYS_mmap,    SYS_munmap,
      SYS_mprotect,     SYS_lseek,       SYS_exit,    SYS_rt_sigprocmask,
      SYS_sigaltstack,  SYS_seccomp,     SYS_prctl,   SYS_getpid,  SYS_getppid, SYS_exit_group,
  };
  for (uint32_t number : kAllowed) w.Allow(number);
  w.AllowClone(kProcessFlags, kThreadFlags);
  w.Return(SECCOMP_RET_TRAP);
  return w.count;
}

size_t WriteThreadFilter(sock_filter* into, int doorbell_fd) {
  FilterWriter w{into, SECCOMP_RET_TRAP};
  w.RequireStub(kCode);
  w.Allow(SYS_rt_sigreturn);
  w.Allow(SYS_exit);
  // futex: FUTEX_WAIT and nothing else of it.
  w.Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 4));
  w.Load(Argument(1));
  w.Require(FUTEX_WAIT);
  w.Return(SECCOMP_RET_ALLOW);
  // write: to the doorbell.
  w.Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 4));
  w.Load(Argument(0));
  w.Require(static_cast<uint32_t>(doorbell_fd));
  w.Return(SECCOMP_RET_ALLOW);
  w.Return(SECCOMP_RET_TRAP);
  return w.count;
}

}  // namespace runsc::systrap
