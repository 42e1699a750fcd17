// Application threads: their stops, read out of the signal frame in the thread's area, and their
// resumes. The area is the application's to write, so everything in it is a value to be checked or
// to be believed of that application alone; the layout is ours and is never read from it.

#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "../doorbell.h"
#include "systrap.h"

namespace runsc::systrap {
namespace {

constexpr uint64_t kTrapFlag = 0x100;
constexpr uint64_t kUserCs = 0x33;
constexpr uint64_t kUserDs = 0x2b;
constexpr uint64_t kBaseLimit = 0x7ffffffff000;
constexpr int kSysSeccomp = 1;

// The XSAVE area: legacy part, what Linux tells there, header, the rest.
constexpr size_t kMxcsr = 24;
constexpr size_t kMxcsrMask = 28;
constexpr size_t kSoftware = 464;
constexpr size_t kSoftwareFeatures = 8;
constexpr size_t kSoftwareSize = 16;  // xstate_size within it
constexpr size_t kLegacyBytes = 512;
constexpr size_t kHeaderBytes = 64;


// How often threads look for their answer: half as often after each time in vain.
uint32_t spins = kSpins;

Thread& ThreadOf(int slot) { return systrap.threads[static_cast<size_t>(slot)]; }

greg_t* ContextOf(int slot) {
  auto* area = reinterpret_cast<uint8_t*>(MailboxOf(slot));
  return reinterpret_cast<ucontext_t*>(area + systrap.frame.context)->uc_mcontext.gregs;
}

uint8_t* FpArea(int slot) {
  return reinterpret_cast<uint8_t*>(MailboxOf(slot)) + systrap.frame.fp;
}

void FetchRegisters(int slot) {
  ThreadOf(slot).call_only = false;
  const greg_t* from = ContextOf(slot);
  user_regs_struct& to = systrap.records[slot].regs;
  auto get = [&](int reg) { return static_cast<unsigned long long>(from[reg]); };
  to.r15 = get(REG_R15);
  to.r14 = get(REG_R14);
  to.r13 = get(REG_R13);
  to.r12 = get(REG_R12);
  to.rbp = get(REG_RBP);
  to.rbx = get(REG_RBX);
  to.r11 = get(REG_R11);
  to.r10 = get(REG_R10);
  to.r9 = get(REG_R9);
  to.r8 = get(REG_R8);
  to.rax = get(REG_RAX);
  to.rcx = get(REG_RCX);
  to.rdx = get(REG_RDX);
  to.rsi = get(REG_RSI);
  to.rdi = get(REG_RDI);
  to.orig_rax = ~0ull;
  to.rip = get(REG_RIP);
  to.cs = kUserCs;
  to.eflags = get(REG_EFL);
  to.rsp = get(REG_RSP);
  to.ss = kUserDs;
  to.fs_base = MailboxOf(slot)->fs_base;
  // The application's is zero where ours takes its place.
  uint64_t gs_base = MailboxOf(slot)->gs_base;
  to.gs_base = gs_base == AreaAddress(slot) ? 0 : gs_base;
  to.ds = to.es = to.fs = to.gs = 0;
  if ((systrap.records[slot].flags & kSingleStep) != 0) to.eflags &= ~kTrapFlag;
}

// False when the bases are none that could be loaded.
bool LoadRegisters(int slot) {
  greg_t* to = ContextOf(slot);
  const user_regs_struct from = systrap.records[slot].regs;
  if (from.fs_base >= kBaseLimit || from.gs_base >= kBaseLimit) return false;
  auto put = [&](int reg, unsigned long long value) { to[reg] = static_cast<greg_t>(value); };
  put(REG_R15, from.r15);
  put(REG_R14, from.r14);
  put(REG_R13, from.r13);
  put(REG_R12, from.r12);
  put(REG_RBP, from.rbp);
  put(REG_RBX, from.rbx);
  put(REG_R11, from.r11);
  put(REG_R10, from.r10);
  put(REG_R9, from.r9);
  put(REG_R8, from.r8);
  put(REG_RAX, from.rax);
  put(REG_RCX, from.rcx);
  put(REG_RDX, from.rdx);
  put(REG_RSI, from.rsi);
  put(REG_RDI, from.rdi);
  put(REG_RIP, from.rip);
  bool step = (systrap.records[slot].flags & kSingleStep) != 0;
  put(REG_EFL, from.eflags | (step ? kTrapFlag : 0));
  put(REG_RSP, from.rsp);
  Mailbox* mail = MailboxOf(slot);
  mail->fs_base = from.fs_base;
  mail->gs_base = from.gs_base == 0 ? AreaAddress(slot) : from.gs_base;
  return true;
}

// What runs has changed.
void NoteRunning() {
  systrap.shared->running = static_cast<uint32_t>(systrap.running.size());
  std::atomic_ref<uint32_t>(systrap.header->spin).store(SpinsOfThreads(), std::memory_order_relaxed);
}

void StartRunning(int slot) {
  Thread& thread = ThreadOf(slot);
  systrap.records[slot].state = kRunning;
  thread.running_index = static_cast<int32_t>(systrap.running.size());
  systrap.running.push_back(slot);
  NoteRunning();
  if (thread.timed) thread.resumed_at_ns = NowNs();
}

void StopRunning(int slot) {
  Thread& thread = ThreadOf(slot);
  int32_t index = thread.running_index;
  if (index < 0) return;
  int last = systrap.running.back();
  systrap.running[static_cast<size_t>(index)] = last;
  ThreadOf(last).running_index = index;
  thread.running_index = -1;
  systrap.running.pop_back();
  NoteRunning();
  if (thread.timed) thread.run_ns += NowNs() - thread.resumed_at_ns;
}

bool Report(int slot, uint32_t reason) {
  StopRunning(slot);
  ThreadOf(slot).interrupt_wanted = false;
  systrap.records[slot].state = kStopped;
  systrap.records[slot].reason = reason;
  return true;
}

void LetGo(int slot) {
  Mailbox* mail = MailboxOf(slot);
  Thread& thread = ThreadOf(slot);
  thread.near = std::atomic_ref<uint32_t>(mail->cpu).load() == systrap.header->cpu;
  bool asleep = std::atomic_ref<uint32_t>(mail->state).exchange(kMailRun) == kMailAsleep;
  if (!thread.near && !thread.parked) {
    spins = asleep ? std::max(spins / 2, kLeastSpins) : std::min(spins * 2, kSpins);
  }
  thread.parked = false;
  if (asleep) syscall(SYS_futex, &mail->state, FUTEX_WAKE, 1);
}

// Registers that cannot be loaded fault, as the instruction that loads them would.
bool RefuseRegisters(int slot) {
  Record& record = systrap.records[slot];
  record.fault_signal = SIGSEGV;
  record.fault_code = SI_KERNEL;
  record.fault_address = 0;
  return Report(slot, kFault);
}

void Resume(int slot) {
  Thread& thread = ThreadOf(slot);
  const Process& process = systrap.processes[static_cast<size_t>(thread.process)];
  if (process.dead) return ReportGone(slot);
  if (thread.interrupt_wanted) {
    Report(slot, kInterrupted);
    systrap.ready.push_back(slot);
    return;
  }
  bool loaded = thread.patched && LoadResult(slot);
  if (!loaded && !ToFrame(slot)) return ReportGone(slot);
  if (!loaded && !LoadRegisters(slot)) {
    RefuseRegisters(slot);
    systrap.ready.push_back(slot);
    return;
  }
  if (thread.fresh) {
    // Cloned by a memory thread, it is bound to the Sentry's processor.
    thread.fresh = false;
    if (systrap.processors > 1) {
      sched_setaffinity(thread.tid, sizeof systrap.allowed, &systrap.allowed);
    }
  }
  LetGo(slot);
  StartRunning(slot);
}

bool IsSynchronous(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
         signal == SIGTRAP;
}

// Other entries than the 64-bit "syscall" are not offered, nor are the x32 numbers.
void SetNumber(Record* record, uint64_t number, bool native) {
  auto nr = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(number)));
  record->regs.rax = native && (nr & 0xc0000000) != 0x40000000 ? nr : ~0ull;
}

bool TakeSignal(int slot) {
  Thread& thread = ThreadOf(slot);
  auto* area = reinterpret_cast<uint8_t*>(MailboxOf(slot));
  siginfo_t info;
  memcpy(&info, area + systrap.frame.info, sizeof info);
  Record& record = systrap.records[slot];
  bool call = info.si_signo == SIGSYS && info.si_code == kSysSeccomp;
  auto address = call ? reinterpret_cast<uint64_t>(info.si_call_addr)
                      : static_cast<uint64_t>(ContextOf(slot)[REG_RIP]);
  if ((call || info.si_signo == kInterruptSignal) && InEntry(address)) {
    // On its way out of a patched site: the record has the registers it goes on with.
    if (thread.interrupt_wanted) {
      CompleteRegisters(slot);
      return Report(slot, kInterrupted);
    }
  } else if (call) {
    FetchRegisters(slot);
    // The host takes some numbers for restart codes of its own and meddles with the frame.
    record.regs.rip = address;
    SetNumber(&record, static_cast<uint64_t>(info.si_syscall), info.si_arch == AUDIT_ARCH_X86_64);
    bool hot = BecomesHot(address, record.regs.rax);
    return Report(slot, hot ? kSyscall | kHotSite : kSyscall);
  } else if (IsSynchronous(info.si_signo) && info.si_code > 0) {
    FetchRegisters(slot);
    record.fault_signal = static_cast<uint32_t>(info.si_signo);
    record.fault_code = info.si_code;
    record.fault_address = reinterpret_cast<uint64_t>(info.si_addr);
    return Report(slot, kFault);
  } else if (thread.interrupt_wanted) {
    FetchRegisters(slot);
    return Report(slot, kInterrupted);
  }
  // Somebody else's signal, or an interrupt that another stop has outrun.
  LetGo(slot);
  return false;
}

}  // namespace

uint32_t SpinsOfThreads() {
  if (systrap.processors == 1) return 0;
  // The Sentry has one of them.
  bool room = systrap.running.size() < static_cast<size_t>(systrap.processors);
  return room ? spins : std::min(spins, kShortSpins);
}

void BindThread(int slot, int process, pid_t tid) {
  Process& owner = systrap.processes[static_cast<size_t>(process)];
  if (systrap.threads.size() <= static_cast<size_t>(slot)) {
    systrap.threads.resize(static_cast<size_t>(slot) + 1);
  }
  Thread& thread = ThreadOf(slot);
  thread.process = process;
  thread.tid = tid;
  owner.slots.push_back(slot);
  RenewThread(slot);
  thread.fresh = true;
  if (owner.slots.size() > 1) {
    for (int each : owner.slots) ThreadOf(each).timed = true;
  }
}

void RenewThread(int slot) {
  Thread& thread = ThreadOf(slot);
  Thread renewed;
  renewed.process = thread.process;
  renewed.tid = thread.tid;
  renewed.fresh = thread.fresh;
  renewed.timed = systrap.processes[static_cast<size_t>(thread.process)].slots.size() > 1;
  thread = renewed;
  Record& record = systrap.records[slot];
  record.tid = thread.tid;
  record.flags = 0;
  record.state = kStopped;
  record.reason = kInterrupted;
}

void Forget(int slot) {
  StopRunning(slot);
  std::erase(systrap.ready, slot);
  systrap.records[slot].state = kFree;
}

void ReportGone(int slot) {
  Record& record = systrap.records[slot];
  if (record.state == kStopped && record.reason == kExited) return;
  std::erase(systrap.ready, slot);
  Report(slot, kExited);
  systrap.ready.push_back(slot);
}

void ApplyResumes() {
  uint32_t count = std::min<uint32_t>(systrap.shared->resuming, kMaxSlots);
  systrap.shared->resuming = 0;
  for (uint32_t i = 0; i < count; i++) {
    int slot = systrap.shared->slots[i];
    if (systrap.records[slot].state == kResuming) Resume(slot);
  }
}

void Interrupt(int slot) {
  Thread& thread = ThreadOf(slot);
  uint32_t state = systrap.records[slot].state;
  if (state != kRunning && state != kResuming) return;
  thread.interrupt_wanted = true;
  if (state == kResuming || thread.interrupt_sent) return;
  thread.interrupt_sent = true;
  const Process& process = systrap.processes[static_cast<size_t>(thread.process)];
  // Somebody outside may have stopped it.
  kill(process.pid, SIGCONT);
  if (syscall(SYS_tgkill, process.pid, thread.tid, kInterruptSignal) == 0 || errno != ESRCH) return;
  ReportGone(slot);
}

void Halt(int index) {
  const Process& process = systrap.processes[static_cast<size_t>(index)];
  for (int slot : process.slots) {
    if (systrap.records[slot].state == kRunning) Interrupt(slot);
  }
  for (int slot : process.slots) {
    while (systrap.records[slot].state == kRunning && AwaitFrame(slot, false)) {
      if (TakeStop(slot)) systrap.ready.push_back(slot);
    }
  }
}

bool TakeStop(int slot) {
  Thread& thread = ThreadOf(slot);
  // Should the signal be on its way yet, it will be one too many.
  thread.interrupt_sent = false;
  thread.patched = std::atomic_ref<uint32_t>(MailboxOf(slot)->patched).load() != 0;
  if (thread.patched) {
    FetchCall(slot);
    SetNumber(&systrap.records[slot], systrap.records[slot].regs.rax, true);
    return Report(slot, kSyscall | kCallOnly);
  }
  return TakeSignal(slot);
}

void Park(int slot) {
  uint32_t stopped = kMailStopped;
  std::atomic_ref<uint32_t> state(MailboxOf(slot)->state);
  ThreadOf(slot).parked = state.compare_exchange_strong(stopped, kMailAsleep);
}

bool LearnFrame(int slot) {
  const Mailbox mail = *MailboxOf(slot);
  uint64_t base = AreaAddress(slot);
  FrameLayout& frame = systrap.frame;
  frame.context = mail.context - base;
  frame.info = mail.info - base;
  if (frame.context > kAreaBytes - sizeof(ucontext_t)) return false;
  if (frame.info > kAreaBytes - sizeof(siginfo_t)) return false;
  auto* area = reinterpret_cast<uint8_t*>(MailboxOf(slot));
  auto* context = reinterpret_cast<ucontext_t*>(area + frame.context);
  frame.fp = reinterpret_cast<uint64_t>(context->uc_mcontext.fpregs) - base;
  if (frame.fp > kAreaBytes - kLegacyBytes - kHeaderBytes) return false;
  uint32_t size = 0;
  memcpy(&size, area + frame.fp + kSoftware + kSoftwareSize, sizeof size);
  frame.fp_bytes = size;
  memcpy(&systrap.fp_features, area + frame.fp + kSoftware + kSoftwareFeatures, 8);
  memcpy(&systrap.mxcsr_mask, area + frame.fp + kMxcsrMask, 4);
  if (systrap.mxcsr_mask == 0) systrap.mxcsr_mask = 0xffbf;
  if (size < kLegacyBytes + kHeaderBytes || frame.fp + size > kAreaBytes) return false;
  if (frame.context < sizeof(uint64_t) || frame.context > frame.fp) return false;
  frame.begin = frame.context - sizeof(uint64_t);
  memset(FpArea(slot) + kLegacyBytes, 0, size - kLegacyBytes);
  ResetFpState(slot);
  frame.bytes.assign(area + frame.begin, area + kAreaBytes);
  return true;
}

void LayFrame(int slot) {
  const FrameLayout& frame = systrap.frame;
  auto* area = reinterpret_cast<uint8_t*>(MailboxOf(slot));
  uint64_t address = AreaAddress(slot);
  memcpy(area + frame.begin, frame.bytes.data(), frame.bytes.size());
  auto* context = reinterpret_cast<ucontext_t*>(area + frame.context);
  context->uc_stack.ss_sp = reinterpret_cast<void*>(address + kMailboxBytes);
  context->uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(address + frame.fp);
}

void ResetFpState(int slot) {
  std::vector<uint8_t> state(systrap.frame.fp_bytes);
  state[0] = 0x7f;
  state[1] = 0x03;
  state[kMxcsr] = 0x80;
  state[kMxcsr + 1] = 0x1f;
  state[kLegacyBytes] = 3;
  FpState(slot, true, state.data(), state.size());
}

long FpState(int slot, bool set, uint8_t* bytes, size_t length) {
  size_t size = systrap.frame.fp_bytes;
  if (length < size) return -EINVAL;
  if (!ToFrame(slot)) return -ESRCH;
  uint8_t* state = FpArea(slot);
  if (!set) {
    memcpy(bytes, state, size);
    memset(bytes + kSoftware, 0, kLegacyBytes - kSoftware);
    return 0;
  }
  uint64_t header[kHeaderBytes / 8];
  memcpy(header, bytes + kLegacyBytes, sizeof header);
  uint32_t mxcsr = 0;
  memcpy(&mxcsr, bytes + kMxcsr, sizeof mxcsr);
  bool rest = std::any_of(header + 1, std::end(header), [](uint64_t word) { return word != 0; });
  if ((header[0] & ~systrap.fp_features) != 0 || rest || (mxcsr & ~systrap.mxcsr_mask) != 0) {
    return -EINVAL;
  }
  memcpy(state, bytes, kSoftware);
  memcpy(state + kLegacyBytes, bytes + kLegacyBytes, size - kLegacyBytes);
  return 0;
}

void CopyFpState(int from, int to) {
  if (!ToFrame(from)) return;
  const uint8_t* source = FpArea(from);
  uint8_t* target = FpArea(to);
  memcpy(target, source, kSoftware);
  memcpy(target + kLegacyBytes, source + kLegacyBytes, systrap.frame.fp_bytes - kLegacyBytes);
}

double RunNs(int slot) {
  const Thread& thread = ThreadOf(slot);
  bool runs = thread.timed && systrap.records[slot].state == kRunning;
  return thread.run_ns + (runs ? NowNs() - thread.resumed_at_ns : 0);
}

}  // namespace runsc::systrap
