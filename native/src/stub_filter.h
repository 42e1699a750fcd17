// Writing the filters of stub processes: seccomp(2) programs in classic BPF, which let calls pass that are
// made from the stub's code page.

#ifndef RUNSC_NATIVE_STUB_FILTER_H_
#define RUNSC_NATIVE_STUB_FILTER_H_

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace runsc {

struct FilterWriter {
  sock_filter* at;
  uint32_t refusal;  // SECCOMP_RET_* for all that does not pass
  size_t count = 0;

  void Put(sock_filter instruction) { at[count++] = instruction; }
  void Load(size_t offset) {
    Put(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  void Return(uint32_t action) { Put(BPF_STMT(BPF_RET | BPF_K, action)); }
  // Refuses unless the loaded word is `value`.
  void Require(uint32_t value) {
    Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    Return(refusal);
  }
  void Allow(uint32_t number) {
    Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    Return(SECCOMP_RET_ALLOW);
  }
  // Allows clone(2) with one of two sets of flags; the host looks at 32 bits of them.
  void AllowClone(uint64_t process, uint64_t thread) {
    Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 5));
    Load(offsetof(seccomp_data, args));
    Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(process), 1, 0));
    Put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(thread), 0, 1));
    Return(SECCOMP_RET_ALLOW);
    Return(refusal);
  }
  // Goes on only for 64-bit calls out of the code page; leaves the number loaded.
  void RequireStub(uint64_t code_page) {
    Load(offsetof(seccomp_data, instruction_pointer) + 4);
    Require(static_cast<uint32_t>(code_page >> 32));
    Load(offsetof(seccomp_data, instruction_pointer));
    Put(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~0xfffu));
    Require(static_cast<uint32_t>(code_page));
    Load(offsetof(seccomp_data, arch));
    Require(AUDIT_ARCH_X86_64);
    Load(offsetof(seccomp_data, nr));
  }
};

}  // namespace runsc

#endif  // RUNSC_NATIVE_STUB_FILTER_H_
