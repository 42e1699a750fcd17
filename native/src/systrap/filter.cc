// The system calls that the host grants a stub process: seccomp(2) programs in classic BPF.
//
// Only calls made from the stub's code page pass; every other one traps, which is how an
// application's calls reach the Sentry. The filter of a process admits what its memory thread does;
// application threads put a second one on top that leaves next to nothing.

#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cstddef>

#include "layout.h"
#include "stub.h"

namespace runsc::systrap {
namespace {

constexpr uint32_t kTrap = SECCOMP_RET_TRAP;

struct Writer {
  sock_filter* at;
  size_t count = 0;
  void Put(sock_filter instruction) { at[count++] = instruction; }
  void Load(size_t offset) {
    Put(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  void Return(uint32_t action) { Put(BPF_STMT(BPF_RET | BPF_K, action)); }
  // Traps unless the loaded word is `value`.
  void Require(uint32_t value) {
    Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    Return(kTrap);
  }
  void Allow(uint32_t number) {
    Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    Return(SECCOMP_RET_ALLOW);
  }
  // Goes on only for 64-bit calls out of the code page; leaves the number loaded.
  void RequireStub() {
    Load(offsetof(seccomp_data, instruction_pointer) + 4);
    Require(static_cast<uint32_t>(kCode >> 32));
    Load(offsetof(seccomp_data, instruction_pointer));
    Put(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~0xfffu));
    Require(static_cast<uint32_t>(kCode));
    Load(offsetof(seccomp_data, arch));
    Require(AUDIT_ARCH_X86_64);
    Load(offsetof(seccomp_data, nr));
  }
};

constexpr size_t Argument(size_t i) { return offsetof(seccomp_data, args) + 8 * i; }

}  // namespace

size_t WriteProcessFilter(sock_filter* into) {
  Writer w{into};
  w.RequireStub();
  constexpr uint32_t kAllowed[] = {
      SYS_rt_sigreturn, SYS_futex,       SYS_write,   SYS_mmap,    SYS_munmap,
      SYS_mprotect,     SYS_lseek,       SYS_clone,   SYS_exit,    SYS_rt_sigprocmask,
      SYS_sigaltstack,  SYS_seccomp,     SYS_prctl,   SYS_getpid,  SYS_getppid, SYS_exit_group,
  };
  for (uint32_t number : kAllowed) w.Allow(number);
  w.Return(kTrap);
  return w.count;
}

size_t WriteThreadFilter(sock_filter* into, int doorbell_fd) {
  Writer w{into};
  w.RequireStub();
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
  w.Return(kTrap);
  return w.count;
}

}  // namespace runsc::systrap
