// Host system calls made inside application processes: memory operations, clone, exit.
//
// A stopped thread is lent for it. Its registers are in its record already (or fetched when it has
// to be interrupted), so they are simply loaded again when it next runs.

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <unordered_map>

#include "tracer.h"

namespace runsc {
namespace {

// More faults than this in the stub itself mean that it is not there any more.
constexpr int kMaxStrayStops = 64;

pid_t TidOf(int slot) { return slot < 0 ? tracer.template_pid : tracer.records[slot].tid; }

// Statuses of threads that nobody knows yet: those a clone has made.
std::unordered_map<pid_t, int> early;

bool IsKnown(pid_t tid) { return tracer.slot_of.contains(tid) || tracer.leaving.contains(tid); }

// Waits for a status of one thread. The end of a leader is told only when those of its other threads
// have been taken in, so whatever comes meanwhile is.
int Await(pid_t tid, int* status) {
  for (;;) {
    if (auto found = early.find(tid); found != early.end()) {
      *status = found->second;
      early.erase(found);
      return 0;
    }
    pid_t other = waitpid(-1, status, __WALL);
    if (other == tid) return 0;
    if (other < 0 && errno != EINTR) return -errno;
    if (other < 0) continue;
    if (!IsKnown(other)) {
      early[other] = *status;
    } else if (int slot = TakeStop(other, *status); slot >= 0) {
      tracer.ready.push_back(slot);
    }
  }
}

// A thread that died on us: its end comes out of the next poll.
long Lost(int slot, int status) {
  if (slot >= 0 && TakeStop(TidOf(slot), status) == slot) tracer.ready.push_back(slot);
  return -ESRCH;
}

// Waits for the int3 at the end of the stub's loop; other stops on the way are passed over.
long WaitForLoopEnd(int slot, user_regs_struct* regs) {
  pid_t tid = TidOf(slot);
  for (int stray = 0; stray < kMaxStrayStops; stray++) {
    int status = 0;
    if (int error = Await(tid, &status); error < 0) return error;
    if (!WIFSTOPPED(status)) return Lost(slot, status);
    if (slot >= 0) tracer.tracees[slot].interrupt_sent = false;
    if (status >> 8 == SIGTRAP) {
      if (ptrace(PTRACE_GETREGS, tid, nullptr, regs) < 0) return -errno;
      if (regs->rip == StubLoopEnd()) return 0;
    }
    if (ptrace(PTRACE_CONT, tid, nullptr, nullptr) < 0) return -errno;
  }
  return -EFAULT;
}

// Runs the loop over operations [first, count); `regs` holds the outcome.
long RunLoop(int slot, size_t first, size_t count, user_regs_struct* regs) {
  pid_t tid = TidOf(slot);
  if (slot >= 0) tracer.tracees[slot].known = false;
  AffinityFetch(tid, slot < 0 ? &tracer.template_cpu : &tracer.tracees[slot].pinned_cpu);
  *regs = {};
  regs->rbx = kOpsBase + first * sizeof(Op);
  regs->rbp = kOpsBase + count * sizeof(Op);
  regs->rip = StubLoop();
  regs->cs = 0x33;
  regs->ss = 0x2b;
  regs->eflags = 0x202;
  regs->orig_rax = ~0ull;
  if (ptrace(PTRACE_SETREGS, tid, nullptr, regs) < 0) return -errno;
  if (ptrace(PTRACE_CONT, tid, nullptr, nullptr) < 0) return -errno;
  return WaitForLoopEnd(slot, regs);
}

// Stops a running thread; false when it is gone. `lent` tells that it stopped for us alone.
bool StopRunningSlot(int slot, bool* lent) {
  Tracee& tracee = tracer.tracees[slot];
  *lent = !tracee.interrupt_wanted;
  InterruptSlot(slot);
  for (;;) {
    int status = 0;
    pid_t tid = tracer.records[slot].tid;
    if (Await(tid, &status) < 0) return false;
    if (TakeStop(tid, status) != slot) continue;
    if (tracer.records[slot].reason != kInterrupted) *lent = false;
    if (!*lent) tracer.ready.push_back(slot);
    return tracer.records[slot].reason != kExited;
  }
}

}  // namespace

long RunOps(int slot, size_t count) {
  bool lent = false;
  if (tracer.records[slot].state == kRunning && !StopRunningSlot(slot, &lent)) return -ESRCH;
  long first_error = 0;
  for (size_t next = 0; next < count;) {
    user_regs_struct regs;
    if (long error = RunLoop(slot, next, count, &regs); error < 0) return error;
    next = (regs.rbx - kOpsBase) / sizeof(Op);
    auto last = static_cast<long>(regs.rax);
    if (last < 0 && first_error == 0) first_error = last;
  }
  if (lent) ResumeSlot(slot);
  return first_error;
}

long CloneSlot(int slot, uint64_t flags) {
  user_regs_struct regs;
  tracer.ops[0] = {SYS_clone, {flags}};
  if (long error = RunLoop(slot, 0, 1, &regs); error < 0) {
    // It may have made one that we shall not hear of.
    for (auto [tid, status] : early) TakeStop(tid, status);
    early.clear();
    return error;
  }
  auto tid = static_cast<long>(regs.rax);
  if (tid < 0) return tid;
  int status = 0;
  if (int error = Await(static_cast<pid_t>(tid), &status); error < 0) return error;
  return WIFSTOPPED(status) ? tid : -ESRCH;
}

void AdoptThread(pid_t tid, int slot, int from) {
  Tracee& tracee = tracer.tracees[slot];
  tracee = {};
  tracee.running_index = -1;
  tracee.short_runs = 1000;  // new threads are expected to make system calls
  tracee.pinned_cpu = from < 0 ? tracer.template_cpu : tracer.tracees[from].pinned_cpu;
  Record& record = tracer.records[slot];
  record.tid = tid;
  record.flags = 0;
  record.state = kStopped;
  tracer.slot_of[tid] = slot;
}

namespace {

void ForgetSlot(int slot) {
  Record& record = tracer.records[slot];
  auto found = tracer.slot_of.find(record.tid);
  if (found != tracer.slot_of.end() && found->second == slot) tracer.slot_of.erase(found);
  std::erase(tracer.ready, slot);
  int32_t index = tracer.tracees[slot].running_index;
  if (index >= 0) {
    int last = tracer.running.back();
    tracer.running[static_cast<size_t>(index)] = last;
    tracer.tracees[last].running_index = index;
    tracer.running.pop_back();
    tracer.header->running = static_cast<uint32_t>(tracer.running.size());
    tracer.tracees[slot].running_index = -1;
  }
  record.state = kFree;
}

// Waits until every one of `running`, killed threads, is at its end or stopped on the way there: a
// stopped thread that has been killed does not see its own code again. A leader is reaped after all
// others of its process, so whatever ends meanwhile is taken in as well.
void AwaitDeath(std::vector<pid_t>* running) {
  while (!running->empty()) {
    int status = 0;
    pid_t tid = waitpid(-1, &status, __WALL);
    if (tid < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (std::erase(*running, tid) > 0) continue;
    int slot = TakeStop(tid, status);
    if (slot >= 0) tracer.ready.push_back(slot);
  }
}

}  // namespace

void KillProcess(pid_t pid, const int32_t* slots, size_t count) {
  std::vector<pid_t> running;
  bool alive = false;
  for (size_t i = 0; i < count; i++) {
    const Record& record = tracer.records[slots[i]];
    bool gone = record.state == kStopped && record.reason == kExited;
    if (!gone) alive = true;
    if (record.state == kRunning) running.push_back(record.tid);
  }
  for (auto entry = tracer.leaving.begin(); entry != tracer.leaving.end();) {
    if (entry->second == pid) {
      running.push_back(entry->first);
      entry = tracer.leaving.erase(entry);
    } else {
      ++entry;
    }
  }
  // Once its end has been reaped, the pid may belong to somebody else.
  if (alive || !running.empty()) kill(pid, SIGKILL);
  for (size_t i = 0; i < count; i++) ForgetSlot(slots[i]);
  AwaitDeath(&running);
}

void ExitSlot(int slot, pid_t pid) {
  Record& record = tracer.records[slot];
  pid_t tid = record.tid;
  bool gone = record.reason == kExited && record.state == kStopped;
  bool was_running = record.state == kRunning;
  ForgetSlot(slot);
  if (gone) return;
  tracer.leaving[tid] = pid;
  if (was_running) {
    ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
  } else {
    TakeStop(tid, (SIGTRAP << 8) | 0x7f);
  }
}

}  // namespace runsc
