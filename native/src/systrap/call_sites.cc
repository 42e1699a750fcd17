// Stops at patched call sites: their registers lie in the thread's area instead of a signal frame
// (stub.cc, runsc_systrap_entry), and a call that changes nothing but its result goes back the same
// way. Everything else takes a frame. Also counts the calls that came by signals, to find the sites
// that are worth patching.

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <atomic>
#include <cstring>

#include "../doorbell.h"
#include "stub.h"
#include "systrap.h"

namespace runsc::systrap {
namespace {

constexpr uint64_t kUserCs = 0x33;
constexpr uint64_t kUserDs = 0x2b;
constexpr size_t kResultAt = offsetof(user_regs_struct, rax);

// A thread that makes no frame within this has been tampered with.
constexpr double kPatienceNs = 2e9;
constexpr int kLooks = 2000;
constexpr timespec kNap = {0, 50'000'000};

// Calls by signal, by the place of the site in its page and the number: that is the same in all
// processes that run a program. Sites that share a count are patched a little early.
constexpr size_t kSites = 4096;
constexpr uint32_t kHotCalls = 32;
struct Site {
  uint64_t key;
  uint32_t calls;
};
Site sites[kSites];

bool HasFrame(Mailbox* mail) {
  uint32_t state = std::atomic_ref<uint32_t>(mail->state).load();
  return state == kMailStopped || state == kMailAsleep;
}

}  // namespace

bool AwaitFrame(int slot, bool looks) {
  const Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  const Process& process = systrap.processes[static_cast<size_t>(thread.process)];
  Mailbox* mail = MailboxOf(slot);
  for (int i = 0; looks && i < kLooks; i++) {
    if (HasFrame(mail)) return true;
    _mm_pause();
  }
  sigset_t open;
  pthread_sigmask(SIG_BLOCK, nullptr, &open);
  sigdelset(&open, SIGCHLD);
  std::atomic_ref<uint32_t> sleeping(systrap.header->sleeping);
  const double limit_ns = NowNs() + kPatienceNs;
  bool made = false;
  while (!made && !process.dead && NowNs() < limit_ns) {
    sleeping.store(1);
    made = HasFrame(mail);
    pollfd bell = {systrap.doorbell_fd, POLLIN, 0};
    uint64_t rings = 0;
    if (!made && ppoll(&bell, 1, &kNap, &open) > 0) {
      (void)!read(systrap.doorbell_fd, &rings, sizeof rings);
    }
    if (systrap.child_ended.exchange(false)) Reap();
  }
  sleeping.store(0);
  if (!made && !process.dead) kill(process.pid, SIGKILL);
  return made;
}

bool InEntry(uint64_t address) { return address >= EntryAddress() && address < EntryEnd(); }

void FetchCall(int slot) {
  const Mailbox* from = MailboxOf(slot);
  // It is written next: by then the line is this processor's alone.
  asm volatile("prefetchw %0" ::"m"(*from));
  user_regs_struct& to = systrap.records[slot].regs;
  to.rax = from->rax;
  to.rdi = from->rdi;
  to.rsi = from->rsi;
  to.rdx = from->rdx;
  to.r10 = from->r10;
  to.r8 = from->r8;
  to.r9 = from->r9;
  systrap.threads[static_cast<size_t>(slot)].call_only = true;
}

void CompleteRegisters(int slot) {
  Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  if (!thread.call_only) return;
  thread.call_only = false;
  const Mailbox* from = MailboxOf(slot);
  user_regs_struct& to = systrap.records[slot].regs;
  to.r15 = from->r15;
  to.r14 = from->r14;
  to.r13 = from->r13;
  to.r12 = from->r12;
  to.rbp = from->rbp;
  to.rbx = from->rbx;
  to.orig_rax = ~0ull;
  to.rip = from->rip;
  to.rcx = to.rip;
  to.cs = kUserCs;
  to.eflags = from->flags;
  to.r11 = to.eflags;
  to.rsp = from->rsp;
  to.ss = kUserDs;
  to.fs_base = from->fs_base;
  to.gs_base = 0;
  to.ds = to.es = to.fs = to.gs = 0;
  thread.taken = to;
}

bool LoadResult(int slot) {
  const Record& record = systrap.records[slot];
  const Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  if ((record.flags & kSingleStep) != 0) return false;
  // Nobody has changed what nobody has looked at.
  if (!thread.call_only) {
    constexpr size_t kRest = kResultAt + sizeof record.regs.rax;
    const auto* now = reinterpret_cast<const uint8_t*>(&record.regs);
    const auto* then = reinterpret_cast<const uint8_t*>(&thread.taken);
    if (memcmp(now, then, kResultAt) != 0 ||
        memcmp(now + kRest, then + kRest, sizeof thread.taken - kRest) != 0) {
      return false;
    }
  }
  MailboxOf(slot)->rax = record.regs.rax;
  return true;
}

bool ToFrame(int slot) {
  Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  if (!thread.patched) return true;
  CompleteRegisters(slot);
  thread.patched = false;
  const Process& process = systrap.processes[static_cast<size_t>(thread.process)];
  if (process.dead) return false;
  Mailbox* mail = MailboxOf(slot);
  // Somebody outside may have stopped it.
  kill(process.pid, SIGCONT);
  if (std::atomic_ref<uint32_t>(mail->state).exchange(kMailTrap) == kMailAsleep) {
    syscall(SYS_futex, &mail->state, FUTEX_WAKE, 1);
  }
  return AwaitFrame(slot, true);
}

bool BecomesHot(uint64_t address, uint64_t number) {
  uint64_t key = number << 12 | (address & 0xfff);
  Site& site = sites[((key * 0x9e3779b97f4a7c15ull) >> 40) % kSites];
  if (site.key != key) site = {key, 0};
  return ++site.calls % kHotCalls == 0;
}

}  // namespace runsc::systrap
