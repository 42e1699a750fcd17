// The ptrace platform's main loop: resuming application threads and taking in their stops.
// See ptrace(2); the contract is sentry/platform/platform.ts.

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "doorbell.h"
#include "tracer.h"

namespace runsc {

Tracer tracer;

namespace {

constexpr uint64_t kUserCs = 0x33;
constexpr uint64_t kUserCs32 = 0x23;
constexpr uint64_t kUserDs = 0x2b;
constexpr int kSyscallStop = SIGTRAP | 0x80;
// The x32 numbers: bit 30 of a number that is not negative.
constexpr uint64_t kX32Mask = 0xc0000000;
constexpr uint64_t kX32Bit = 0x40000000;

// Selectors the host would refuse (or worse, take) come from a hostile sigreturn: only the flat
// user segments and null pass. Flags are filtered by the host.
void Sanitise(user_regs_struct* regs) {
  if (regs->cs != kUserCs32) regs->cs = kUserCs;
  regs->ss = kUserDs;
  if (regs->ds != kUserDs) regs->ds = 0;
  if (regs->es != kUserDs) regs->es = 0;
  if (regs->fs != kUserDs) regs->fs = 0;
  if (regs->gs != kUserDs) regs->gs = 0;
}

int Continue(int slot) {
  bool step = (tracer.records[slot].flags & kSingleStep) != 0;
  auto request = step ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU;
  return ptrace(request, tracer.records[slot].tid, nullptr, nullptr) < 0 ? -errno : 0;
}

void StartRunning(int slot) {
  tracer.records[slot].state = kRunning;
  tracer.tracees[slot].running_index = static_cast<int32_t>(tracer.running.size());
  tracer.running.push_back(slot);
  tracer.header->running = static_cast<uint32_t>(tracer.running.size());
}

void StopRunning(int slot) {
  int32_t index = tracer.tracees[slot].running_index;
  tracer.records[slot].state = kStopped;
  if (index < 0) return;
  int last = tracer.running.back();
  tracer.running[static_cast<size_t>(index)] = last;
  tracer.tracees[last].running_index = index;
  tracer.tracees[slot].running_index = -1;
  tracer.running.pop_back();
  tracer.header->running = static_cast<uint32_t>(tracer.running.size());
}

// Fetches the registers of a thread that has stopped.
bool FetchRegisters(int slot) {
  Record& record = tracer.records[slot];
  Tracee& tracee = tracer.tracees[slot];
  if (ptrace(PTRACE_GETREGS, record.tid, nullptr, &record.regs) < 0) return false;
  tracee.hardware = record.regs;
  tracee.known = true;
  return true;
}

// The "syscall" instruction leaves rip in rcx. Anything else (int 0x80, 32-bit code) is an entry
// we do not offer; neither are the x32 numbers. Both are reported as number -1.
void PresentSyscall(user_regs_struct* regs) {
  auto nr = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(regs->orig_rax)));
  bool native = regs->rcx == regs->rip && regs->cs == kUserCs;
  regs->rax = native && (nr & kX32Mask) != kX32Bit ? nr : ~0ull;
}

int Report(int slot, Reason reason) {
  StopRunning(slot);
  AffinityAfterStop(slot, NowNs());
  tracer.tracees[slot].interrupt_wanted = false;
  tracer.records[slot].reason = reason;
  return slot;
}

int ReportGone(int slot) {
  tracer.slot_of.erase(tracer.records[slot].tid);
  tracer.tracees[slot].known = false;
  return Report(slot, kExited);
}

int KeepRunning(int slot) {
  Continue(slot);
  return -1;
}

// A signal is about to be delivered: a fault of the processor's is the application's, anything
// else was sent by the host and does not exist for the application.
int TakeSignal(int slot, int signal) {
  Record& record = tracer.records[slot];
  siginfo_t info{};
  bool synchronous = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL ||
                     signal == SIGFPE || signal == SIGTRAP;
  if (!synchronous) return KeepRunning(slot);
  if (ptrace(PTRACE_GETSIGINFO, record.tid, nullptr, &info) < 0) return -1;
  if (info.si_code <= 0) return KeepRunning(slot);
  if (!FetchRegisters(slot)) return -1;
  record.fault_signal = static_cast<uint32_t>(signal);
  record.fault_code = info.si_code;
  record.fault_address = reinterpret_cast<uint64_t>(info.si_addr);
  return Report(slot, kFault);
}

// A released thread has stopped at last: it goes.
void SendAway(pid_t tid) {
  user_regs_struct regs{};
  regs.rip = StubExit();
  regs.cs = kUserCs;
  regs.ss = kUserDs;
  regs.eflags = 0x202;
  regs.orig_rax = ~0ull;
  ptrace(PTRACE_SETREGS, tid, nullptr, &regs);
  ptrace(PTRACE_CONT, tid, nullptr, nullptr);
}

// Whether the host, resuming a thread that was in a system call, would take rax for one of its own
// restart codes (ERESTARTSYS to ERESTART_RESTARTBLOCK) and meddle.
bool MeansRestart(uint64_t rax) { return rax >= -516ull && rax <= -512ull; }

// Gives the host the registers of the record, as far as they differ from those it has.
int LoadRegisters(int slot) {
  Record& record = tracer.records[slot];
  Tracee& tracee = tracer.tracees[slot];
  user_regs_struct wanted = record.regs;
  if (tracee.known) {
    wanted.orig_rax = tracee.hardware.orig_rax;
    uint64_t rax = wanted.rax;
    wanted.rax = tracee.hardware.rax;
    bool same = memcmp(&wanted, &tracee.hardware, sizeof wanted) == 0;
    wanted.rax = rax;
    bool quiet = wanted.orig_rax == ~0ull || !MeansRestart(rax);
    if (same && quiet) {
      if (rax == tracee.hardware.rax) return 0;
      // The common case, a result: one word costs less than half of loading all.
      tracee.hardware.rax = rax;
      auto offset = reinterpret_cast<void*>(offsetof(user_regs_struct, rax));
      return ptrace(PTRACE_POKEUSER, record.tid, offset, rax) < 0 ? -errno : 0;
    }
  }
  wanted.orig_rax = ~0ull;
  Sanitise(&wanted);
  tracee.known = false;
  return ptrace(PTRACE_SETREGS, record.tid, nullptr, &wanted) < 0 ? -errno : 0;
}

// Registers the host refused (a non-canonical base) fault, as the instruction that loads them would.
void RefuseRegisters(int slot) {
  Record& record = tracer.records[slot];
  tracer.tracees[slot].known = false;
  tracer.tracees[slot].interrupt_wanted = false;
  record.state = kStopped;
  record.reason = kFault;
  record.fault_signal = SIGSEGV;
  record.fault_code = SI_KERNEL;
  record.fault_address = 0;
  tracer.ready.push_back(slot);
}

void ApplyResumes() {
  Header* header = tracer.header;
  uint32_t count = std::min<uint32_t>(header->resuming, kMaxSlots);
  header->resuming = 0;
  for (uint32_t i = 0; i < count; i++) {
    int slot = header->slots[i];
    Record& record = tracer.records[slot];
    if (record.state != kResuming) continue;
    if (!tracer.slot_of.contains(record.tid)) {
      // It ended while it was stopped, which is in the queue or has been told.
      record.state = kStopped;
      continue;
    }
    if (tracer.tracees[slot].interrupt_wanted) {
      tracer.tracees[slot].interrupt_wanted = false;
      record.state = kStopped;
      record.reason = kInterrupted;
      tracer.ready.push_back(slot);
      continue;
    }
    int error = ResumeSlot(slot);
    if (error == -EIO) RefuseRegisters(slot);
    // Gone: wait4 has its status, or will.
    if (error == -ESRCH) StartRunning(slot);
  }
}

}  // namespace

int ResumeSlot(int slot) {
  if (int error = LoadRegisters(slot); error < 0) return error;
  AffinityBeforeResume(slot, NowNs());
  int error = Continue(slot);
  if (error == 0) StartRunning(slot);
  return error;
}

void InterruptSlot(int slot) {
  Record& record = tracer.records[slot];
  Tracee& tracee = tracer.tracees[slot];
  if (record.state != kRunning && record.state != kResuming) return;
  tracee.interrupt_wanted = true;
  if (record.state == kResuming || tracee.interrupt_sent) return;
  tracee.interrupt_sent = true;
  ptrace(PTRACE_INTERRUPT, record.tid, nullptr, nullptr);
}

int TakeStop(pid_t tid, int status) {
  bool gone = !WIFSTOPPED(status);
  if (tracer.leaving.erase(tid) > 0) {
    if (!gone) SendAway(tid);
    return -1;
  }
  auto found = tracer.slot_of.find(tid);
  if (found == tracer.slot_of.end()) {
    // What a clone has made whose maker was killed before it could tell.
    if (!gone) SendAway(tid);
    return -1;
  }
  int slot = found->second;
  Record& record = tracer.records[slot];
  Tracee& tracee = tracer.tracees[slot];
  // Every stop but the one for PTRACE_INTERRUPT drops a request that is still pending.
  tracee.interrupt_sent = false;
  if (gone) return ReportGone(slot);
  int signal = WSTOPSIG(status);
  int event = status >> 16;
  if (signal == kSyscallStop) {
    // A thread killed since it stopped: its end is reported next.
    if (!FetchRegisters(slot)) return -1;
    PresentSyscall(&record.regs);
    return Report(slot, kSyscall);
  }
  if (event == PTRACE_EVENT_STOP) {
    if (!tracee.interrupt_wanted) return KeepRunning(slot);
    return FetchRegisters(slot) ? Report(slot, kInterrupted) : -1;
  }
  return event != 0 ? KeepRunning(slot) : TakeSignal(slot, signal);
}

int TracerPoll(double deadline_ns) {
  ApplyResumes();
  for (;;) {
    if (DoorbellRang()) return -1;
    if (!tracer.ready.empty()) {
      int slot = tracer.ready.front();
      tracer.ready.pop_front();
      return slot;
    }
    int status = 0;
    pid_t tid = 0;
    bool may_sleep = deadline_ns > 0;
    if (may_sleep && !tracer.running.empty()) {
      double now_ns = NowNs();
      if (deadline_ns <= now_ns) {
        may_sleep = false;
      } else {
        tid = DoorbellWait(&status, std::min(deadline_ns, AffinityTickAt(now_ns)));
      }
    }
    if (!may_sleep || tracer.running.empty()) {
      tid = static_cast<pid_t>(waitpid(-1, &status, __WALL | WNOHANG));
      if (tid <= 0) {
        if (!may_sleep) return -1;
        AffinityBeforeSleep();
        if (DoorbellSleep(deadline_ns) || NowNs() >= deadline_ns) return -1;
        continue;
      }
    }
    if (tid > 0) {
      int slot = TakeStop(tid, status);
      if (slot >= 0) return slot;
      continue;
    }
    AffinityTick(NowNs());
  }
}

int TracerStart() {
  if (tracer.header != nullptr) return -EBUSY;
  size_t tracees_bytes = sizeof(Tracee) * kMaxSlots;
  void* memory = mmap(nullptr, kSharedBytes + tracees_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return -errno;
  tracer.header = static_cast<Header*>(memory);
  tracer.records = reinterpret_cast<Record*>(tracer.header + 1);
  tracer.tracees = reinterpret_cast<Tracee*>(static_cast<char*>(memory) + kSharedBytes);
  // The doorbell's thread first: it must not inherit the one processor that the copies shall.
  if (int error = DoorbellStart(); error < 0) return error;
  AffinityStart();
  AffinityFetch(0, &tracer.template_cpu);
  tracer.template_pid = CreateTemplate(&tracer.ops);
  return std::min(tracer.template_pid, 0);
}

}  // namespace runsc
