// The stub and the template process that every address space is forked from.
//
// The stub is one read-only code page and a list of operations: system calls the Sentry wants made
// in that address space. The list is a shared file that the application processes map read-only,
// so no application thread can change it, and jumping into the stub gains nothing: application
// code runs under PTRACE_SYSEMU, where every system call is a stop and none reaches the host. Should a
// thread ever run in another way, a filter (seccomp(2)) leaves it what the stub itself calls.

#include "stub.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "own_maps.h"
#include "stub_filter.h"

// The code that is copied into the stub page (position-independent, general registers only), and a
// lone "syscall" in our own text, through which the template is taken apart. runsc_clone(flags) is
// clone(2) whose child waits for ever without using a stack, for it has none.
asm(R"(
  .pushsection .text
runsc_stub_begin:
runsc_stub_loop:
  cmp %rbp, %rbx
  jae 1f
  mov (%rbx), %rax
  mov 8(%rbx), %rdi
  mov 16(%rbx), %rsi
  mov 24(%rbx), %rdx
  mov 32(%rbx), %r10
  mov 40(%rbx), %r8
  mov 48(%rbx), %r9
  syscall
  add $56, %rbx
  test %rax, %rax
  jns runsc_stub_loop
1:
  int3
runsc_stub_loop_end:
  ud2
runsc_stub_exit:
  mov $60, %eax
  xor %edi, %edi
  syscall
  ud2
runsc_stub_end:
runsc_gadget:
  syscall
  int3

  .type runsc_clone, @function
runsc_clone:
  xor %esi, %esi
  xor %edx, %edx
  xor %r10d, %r10d
  xor %r8d, %r8d
  mov $56, %eax
  syscall
  test %rax, %rax
  jz 2f
  ret
2:
  mov $34, %eax
  syscall
  jmp 2b
  .size runsc_clone, . - runsc_clone
  .popsection
)");

extern "C" const char runsc_stub_begin[], runsc_stub_loop[], runsc_stub_loop_end[],
    runsc_stub_exit[], runsc_stub_end[], runsc_gadget[];
extern "C" long runsc_clone(uint64_t flags);

namespace runsc {

static_assert(sizeof(Op) == 56, "the stub steps by this");

uint64_t StubLoop() { return kStubBase + (runsc_stub_loop - runsc_stub_begin); }
uint64_t StubLoopEnd() { return kStubBase + (runsc_stub_loop_end - runsc_stub_begin); }
uint64_t StubExit() { return kStubBase + (runsc_stub_exit - runsc_stub_begin); }

int WaitFor(pid_t tid, int* status) {
  for (;;) {
    pid_t found = waitpid(tid, status, __WALL);
    if (found == tid) return 0;
    if (errno != EINTR) return -errno;
  }
}

namespace {

// Signals that only the host could send are blocked; what the processor raises is not.
constexpr uint64_t Bit(int signal) { return 1ull << (signal - 1); }
const uint64_t kStubSignalMask =
    ~(Bit(SIGTRAP) | Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGILL) | Bit(SIGFPE));

const char kStubName[] = "runsc-stub";

// What the stub calls for the Sentry. What PTRACE_SYSEMU stops never comes to the filter.
sock_filter filter[32];
sock_fprog filter_program;

void WriteFilter() {
  FilterWriter w{filter, SECCOMP_RET_KILL_PROCESS};
  // Only the host's own emulation of the vsyscall page (clocks, the processor's number) has an
  // address up there; it makes no stop.
  w.Load(offsetof(seccomp_data, instruction_pointer) + 4);
  w.Allow(0xffffffff);
  w.RequireStub(kStubBase);
  for (uint32_t number : {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_exit}) w.Allow(number);
  w.AllowClone(kTracedProcessFlags, kTracedThreadFlags);
  w.Return(SECCOMP_RET_KILL_PROCESS);
  filter_program = {static_cast<unsigned short>(w.count), filter};
}

// Makes a stopped process call the host from `entry` (syscall; int3). Its result, or -errno.
long CallIn(pid_t pid, uint64_t entry, long nr, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0,
            uint64_t a3 = 0, uint64_t a4 = 0, uint64_t a5 = 0) {
  user_regs_struct regs{};
  regs.rax = static_cast<uint64_t>(nr);
  regs.rdi = a0;
  regs.rsi = a1;
  regs.rdx = a2;
  regs.r10 = a3;
  regs.r8 = a4;
  regs.r9 = a5;
  regs.rip = entry;
  regs.cs = 0x33;
  regs.ss = 0x2b;
  regs.eflags = 0x202;
  regs.orig_rax = ~0ull;
  if (ptrace(PTRACE_SETREGS, pid, nullptr, &regs) < 0) return -errno;
  for (int attempt = 0; attempt < 16; attempt++) {
    if (ptrace(PTRACE_CONT, pid, nullptr, nullptr) < 0) return -errno;
    int status = 0;
    if (int error = WaitFor(pid, &status); error < 0) return error;
    if (!WIFSTOPPED(status)) return -ESRCH;
    if (status >> 8 != SIGTRAP) continue;
    if (ptrace(PTRACE_GETREGS, pid, nullptr, &regs) < 0) return -errno;
    return static_cast<long>(regs.rax);
  }
  return -EIO;
}

int MakeStubFile() {
  int fd = static_cast<int>(syscall(SYS_memfd_create, kStubName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0) return -errno;
  size_t length = runsc_stub_end - runsc_stub_begin;
  if (ftruncate(fd, 0x1000) < 0 ||
      pwrite(fd, runsc_stub_begin, length, 0) != static_cast<ssize_t>(length)) {
    int error = errno;
    close(fd);
    return -error;
  }
  fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  return fd;
}

int MakeOpsFile(Op** ops) {
  int fd = static_cast<int>(syscall(SYS_memfd_create, "runsc-ops", MFD_CLOEXEC));
  if (fd < 0) return -errno;
  void* view = MAP_FAILED;
  if (ftruncate(fd, kOpsBytes) == 0) {
    view = mmap(nullptr, kOpsBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (view == MAP_FAILED) {
    int error = errno;
    close(fd);
    return -error;
  }
  *ops = static_cast<Op*>(view);
  return fd;
}

// A copy of this process that does nothing but wait.
pid_t CloneSelf() {
  // The code it runs, the constants it passes, and the thread's own block, where the host's
  // scheduler writes (rseq) until the copy is cloned once more.
  const void* needed[] = {runsc_gadget, reinterpret_cast<const void*>(runsc_clone),
                          &kStubSignalMask, kStubName, filter, &filter_program,
                          __builtin_thread_pointer()};
  HideMappings(needed, std::size(needed));
  return static_cast<pid_t>(runsc_clone(CLONE_FILES | SIGCHLD));
}

// Turns the copy into a process of its own session with the stub mapped, and clones it once more:
// CLONE_VM drops what the copy inherited for libc's sake (rseq, robust list, alternate stack).
// Returns the new process, stopped.
long PrepareStub(pid_t copy, int stub_fd, int ops_fd) {
  auto gadget = reinterpret_cast<uint64_t>(runsc_gadget);
  int status = 0;
  auto options = reinterpret_cast<void*>(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
  if (ptrace(PTRACE_SEIZE, copy, nullptr, options) < 0) return -errno;
  if (ptrace(PTRACE_INTERRUPT, copy, nullptr, nullptr) < 0) return -errno;
  if (int error = WaitFor(copy, &status); error < 0) return error;
  if (!WIFSTOPPED(status)) return -ESRCH;
  long done = CallIn(copy, gadget, SYS_mmap, kStubBase, 0x1000, PROT_READ | PROT_EXEC,
                     MAP_SHARED | MAP_FIXED, stub_fd, 0);
  if (done < 0) return done;
  done = CallIn(copy, gadget, SYS_mmap, kOpsBase, kOpsBytes, PROT_READ, MAP_SHARED | MAP_FIXED,
                ops_fd, 0);
  if (done < 0) return done;
  CallIn(copy, gadget, SYS_rt_sigprocmask, SIG_SETMASK,
         reinterpret_cast<uint64_t>(&kStubSignalMask), 0, 8);
  CallIn(copy, gadget, SYS_setsid);
  CallIn(copy, gadget, SYS_prctl, PR_SET_NAME, reinterpret_cast<uint64_t>(kStubName));
  constexpr uint64_t kFlags = CLONE_VM | CLONE_FILES | CLONE_PARENT | CLONE_PTRACE | SIGCHLD;
  long stub = CallIn(copy, gadget, SYS_clone, kFlags);
  if (stub < 0) return stub;
  if (int error = WaitFor(static_cast<pid_t>(stub), &status); error < 0) return error;
  return WIFSTOPPED(status) ? stub : -ESRCH;
}

// Runs the operations already in the list; the result of the last one.
long RunLoop(pid_t pid, size_t count) {
  user_regs_struct regs{};
  regs.rbx = kOpsBase;
  regs.rbp = kOpsBase + count * sizeof(Op);
  regs.rip = StubLoop();
  regs.cs = 0x33;
  regs.ss = 0x2b;
  regs.eflags = 0x202;
  regs.orig_rax = ~0ull;
  int status = 0;
  if (ptrace(PTRACE_SETREGS, pid, nullptr, &regs) < 0) return -errno;
  if (ptrace(PTRACE_CONT, pid, nullptr, nullptr) < 0) return -errno;
  if (int error = WaitFor(pid, &status); error < 0) return error;
  if (!WIFSTOPPED(status) || status >> 8 != SIGTRAP) return -ESRCH;
  if (ptrace(PTRACE_GETREGS, pid, nullptr, &regs) < 0) return -errno;
  return static_cast<long>(regs.rax);
}

void Reap(pid_t pid) {
  int status = 0;
  kill(pid, SIGKILL);
  while (WaitFor(pid, &status) == 0 && WIFSTOPPED(status)) continue;
}

}  // namespace

// Without /proc the copy is merely larger, until it is unmapped.
void HideMappings(const void* const* needed, size_t count) {
  for (const Mapping& mapping : KeptMappings()) {
    bool is_needed = std::any_of(needed, needed + count, [&](const void* pointer) {
      auto at = reinterpret_cast<uintptr_t>(pointer);
      return at >= mapping.start && at < mapping.end;
    });
    // The vDSO's pages could not be unmarked for a later fork.
    if (mapping.is_special) continue;
    // Another platform, which then did not start, may have hidden what this one needs.
    madvise(reinterpret_cast<void*>(mapping.start), mapping.end - mapping.start,
            is_needed ? MADV_DOFORK : MADV_DONTFORK);
  }
}

pid_t CreateTemplate(Op** ops) {
  int stub_fd = MakeStubFile();
  if (stub_fd < 0) return stub_fd;
  int ops_fd = MakeOpsFile(ops);
  if (ops_fd < 0) {
    close(stub_fd);
    return ops_fd;
  }
  WriteFilter();
  long stub = -EAGAIN;
  pid_t copy = CloneSelf();
  if (copy > 0) {
    stub = PrepareStub(copy, stub_fd, ops_fd);
    Reap(copy);
  }
  close(stub_fd);
  close(ops_fd);
  if (copy < 0) return copy;
  if (stub < 0) return static_cast<pid_t>(stub);
  constexpr uint64_t kStubEnd = kOpsBase + kOpsBytes;
  auto program = reinterpret_cast<uint64_t>(&filter_program);
  (*ops)[0] = {SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1}};
  (*ops)[1] = {SYS_seccomp, {SECCOMP_SET_MODE_FILTER, 0, program}};
  (*ops)[2] = {SYS_munmap, {0, kStubBase}};
  (*ops)[3] = {SYS_munmap, {kStubEnd, kUserEnd - kStubEnd}};
  auto pid = static_cast<pid_t>(stub);
  long done = RunLoop(pid, 4);
  if (done < 0) {
    Reap(pid);
    return static_cast<pid_t>(done);
  }
  return pid;
}

}  // namespace runsc
