// The stub: what the platform itself has in every application process, see stub.cc.

#ifndef RUNSC_NATIVE_STUB_H_
#define RUNSC_NATIVE_STUB_H_

#include <linux/sched.h>
#include <signal.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace runsc {

// Everything from here up to the end of user space belongs to the platform; the application has
// what is below (Platform.taskSize).
constexpr uint64_t kStubBase = 0x7fffffe00000;
constexpr uint64_t kOpsBase = kStubBase + 0x1000;
constexpr size_t kOpsBytes = 0x10000;
constexpr uint64_t kUserEnd = 0x7ffffffff000;

// clone(2) as stubs make it: of a process and of a thread.
constexpr uint64_t kTracedProcessFlags = CLONE_PARENT | CLONE_FILES | CLONE_PTRACE | SIGCHLD;
constexpr uint64_t kTracedThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                  CLONE_SYSVSEM | CLONE_PTRACE;

// One operation of the list: a system call. Seven 64-bit words.
struct Op {
  int64_t nr;
  uint64_t args[6];
};
constexpr size_t kMaxOps = kOpsBytes / sizeof(Op);

// Entry points within the stub's code page.
uint64_t StubLoop();     // runs ops from rbx up to rbp, stops behind int3; rax is the last result
uint64_t StubLoopEnd();  // rip at that stop
uint64_t StubExit();     // ends the thread

// Makes the template process: nothing mapped but the stub, stopped under ptrace. Returns its pid,
// or -errno. `ops` receives the Sentry's writable view of the operation list.
pid_t CreateTemplate(Op** ops);

// Leaves everything out of copies of this process but the mappings that hold `needed`: there is less
// to copy and to unmap again, and nothing of the Sentry is ever in there.
void HideMappings(const void* const* needed, size_t count);

// Waits for `tid` alone; the status, or -errno.
int WaitFor(pid_t tid, int* status);

}  // namespace runsc

#endif  // RUNSC_NATIVE_STUB_H_
