// What a stub process of the systrap platform looks like: addresses, shared pages, state words.
//
// Above the application's memory (Platform.taskSize) lie, in every process:
//   code     the stub's code, never writable
//   header   one page of the platform, which processes can only read
//   control  pages of this process, which it can only read: the memory thread's list (two), and a
//            table of futex waiters
//   threads  kAreaBytes for each of its threads, writable: mailbox and signal stack
// What a process can write, its application can forge.

#ifndef RUNSC_NATIVE_SYSTRAP_LAYOUT_H_
#define RUNSC_NATIVE_SYSTRAP_LAYOUT_H_

#include <linux/filter.h>
#include <signal.h>

#include <cstddef>
#include <cstdint>

namespace runsc::systrap {

constexpr uint64_t kCode = 0x7fff00000000;
constexpr uint64_t kHeader = kCode + 0x1000;
constexpr uint64_t kControl = kCode + 0x2000;
constexpr size_t kWaitersAt = 0x2000;
constexpr size_t kControlBytes = 0x3000;
constexpr uint64_t kControlEnd = kControl + kControlBytes;
constexpr uint64_t kThreads = 0x7fffe0000000;
constexpr size_t kAreaBytes = 0x4000;
constexpr uint64_t kThreadsEnd = 0x7ffff0000000;  // kMaxSlots areas
constexpr uint64_t kUserEnd = 0x7ffffffff000;
constexpr size_t kMaxProcesses = 16384;

// Mailbox::state. The thread makes it kMailStopped, or kMailAsleep when it stops spinning; the
// Sentry makes it the others (and kMailAsleep, for a thread that should not spin).
constexpr uint32_t kMailStopped = 1;
constexpr uint32_t kMailRun = 2;
constexpr uint32_t kMailAsleep = 3;
constexpr uint32_t kMailExit = 4;
constexpr uint32_t kMailTrap = 5;  // to a thread stopped at a patched site: make a signal frame

// At the start of a thread's area. stub.cc knows these offsets. A call from a patched site moves one
// cache line between the processors: state, number, arguments and result. The other registers are
// written at each call, too, and read only when they are asked for; so what the Sentry reads each time
// must not be in their lines.
struct Mailbox {
  uint32_t state;
  uint32_t patched;  // the last stop was at a patched site: the registers are here, not in a frame
  uint64_t rax, rdi, rsi, rdx, r10, r8, r9;
  uint64_t rip, rsp, rbx, rbp, r12, r13, r14, r15;
  uint64_t fs_base;
  uint64_t flags;
  uint64_t gs_base;
  uint64_t context;  // struct ucontext of the last stop by a signal
  uint64_t info;     // its siginfo
  uint32_t pending;  // an interrupt came while the thread was on its way to stop
  uint32_t tid;      // the host clears it when the thread has ended
  uint32_t unused[4];
  stack_t stack;
  uint32_t cpu;      // where the thread was at its last stop
  uint32_t rang;     // the low half of the time stamp counter when it rang the doorbell last
};
static_assert(offsetof(Mailbox, rip) == 64 && offsetof(Mailbox, fs_base) == 128);
static_assert(offsetof(Mailbox, flags) == 136 && offsetof(Mailbox, gs_base) == 144);
static_assert(offsetof(Mailbox, pending) == 168 && offsetof(Mailbox, cpu) == 216);
static_assert(offsetof(Mailbox, stack) == 192 && offsetof(Mailbox, rang) == 220);
constexpr size_t kMailboxBytes = 0x100;

struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

struct Header {
  uint32_t sleeping;    // the Sentry wants its doorbell rung
  uint32_t spin;        // how often a stopped thread looks before it sleeps
  int32_t doorbell_fd;
  uint32_t cpu;         // the Sentry's processor
  uint64_t one;
  uint64_t signal_mask;        // of application threads
  sock_fprog thread_filter;    // for application threads, on top of:
  sock_fprog process_filter;   // all threads
  KernelSigaction action;
  char name[16];
  uint32_t answers_futexes;  // patched sites look at the table of waiters before they stop
  sock_filter filters[96];
};
static_assert(offsetof(Header, cpu) == 12);
static_assert(offsetof(Header, signal_mask) == 24 && offsetof(Header, thread_filter) == 32);
static_assert(offsetof(Header, answers_futexes) == 112 && sizeof(Header) <= 0x1000);

// A system call of the memory thread's list.
struct Op {
  int64_t nr;
  uint64_t args[6];
};
static_assert(sizeof(Op) == 56);
constexpr size_t kBatchOps = 128;
constexpr size_t kChildOps = 15;

struct Control {
  uint32_t go;  // the memory thread runs the list when this changes
  uint32_t count;
  int32_t result_fd;  // its file position is the result: only the host can have moved it
  int32_t done_fd;
  uint32_t child_count;
  uint32_t parent_pid;
  uint64_t one;
  uint64_t unused[4];
  Op ops[kBatchOps];
  Op child_ops[kChildOps];  // what a process made by one of `ops` begins with
};
static_assert(offsetof(Control, ops) == 64 && offsetof(Control, child_ops) == 7232);
static_assert(sizeof(Control) <= kWaitersAt);
// Behind it, from kWaitersAt on: how many threads wait in the Sentry on private futexes, for each
// place of a word in its page.

}  // namespace runsc::systrap

#endif  // RUNSC_NATIVE_SYSTRAP_LAYOUT_H_
