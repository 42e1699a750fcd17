// What the Sentry has done inside stub processes: memory operations, new processes and threads.
//
// The memory thread of the process does it. It is kept on the Sentry's processor: the Sentry sleeps
// meanwhile, so handing over is a context switch, not the waking of an idle processor.

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "stub.h"
#include "systrap.h"

namespace runsc::systrap {
namespace {

Op MapArea(int slot) {
  return {SYS_mmap,
          {AreaAddress(slot), kAreaBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
           static_cast<uint64_t>(systrap.area_fd), static_cast<uint64_t>(slot) * kAreaBytes}};
}

// clone(2) of an application thread: its stack pointer tells it where its area and its frame are.
Op StartThread(int slot) {
  uint64_t area = AreaAddress(slot);
  uint64_t stack = area + (systrap.frame.begin != 0 ? systrap.frame.begin : kMailboxBytes);
  return {SYS_clone, {kThreadFlags, stack, 0, area + offsetof(Mailbox, tid), 0, 0}};
}

void PrepareArea(int slot) {
  Mailbox* mail = MailboxOf(slot);
  *mail = {};
  mail->tid = 1;
  mail->stack.ss_sp = reinterpret_cast<void*>(AreaAddress(slot) + kMailboxBytes);
  mail->stack.ss_size = kAreaBytes - kMailboxBytes;
  if (systrap.frame.begin == 0) return;
  mail->state = kMailAsleep;
  LayFrame(slot);
}

void KeepNear(Process* process) {
  int cpu = sched_getcpu();
  if (process->cpu == cpu || systrap.processors == 1) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(process->pid, sizeof one, &one) == 0) process->cpu = cpu;
}

void Go(int index) {
  Control* control = ControlOf(index);
  std::atomic_ref<uint32_t> go(control->go);
  go.store(go.load() + 1);
  syscall(SYS_futex, &control->go, FUTEX_WAKE, 1);
}

// `from` has ended while it was copied, so there may be a copy whose number nobody knows. Nobody has
// asked it for a report, and now it is told to end. It reads both pages, so they are left to it.
void Disown(int index, int from) {
  Control* control = ControlOf(index);
  control->ops[0] = {SYS_exit_group, {}};
  control->count = 1;
  Go(index);
  systrap.processes[static_cast<size_t>(from)].has_copy = true;
}

// One list, at most kBatchOps operations long.
Made RunBatch(int index, const Op* ops, size_t count) {
  Process& process = systrap.processes[static_cast<size_t>(index)];
  if (process.dead) return {-ESRCH, 0};
  Control* control = ControlOf(index);
  std::copy_n(ops, count, control->ops);
  control->count = static_cast<uint32_t>(count);
  KeepNear(&process);
  Go(index);
  return AwaitReport(&process);
}

}  // namespace

Made AwaitReport(const Process* who) {
  sigset_t open;
  pthread_sigmask(SIG_BLOCK, nullptr, &open);
  sigdelset(&open, SIGCHLD);
  for (;;) {
    pollfd fd = {systrap.done_fd, POLLIN, 0};
    timespec patience = {0, 100'000'000};
    int ready = ppoll(&fd, 1, &patience, &open);
    if (ready <= 0) Reap();
    // The template's number is what its report tells.
    bool ended = who->dead || (who->pid == 0 && !systrap.strays.empty());
    uint64_t reports = 0;
    // It may have been the last thing that it did.
    if (read(systrap.done_fd, &reports, sizeof reports) > 0) {
      auto result = static_cast<uint64_t>(lseek(systrap.result_fd, 0, SEEK_CUR));
      return {-static_cast<long>(result & 0xfff), result >> 12};
    }
    if (ended) return {-ESRCH, 0};
    // Somebody outside may have stopped it.
    if (ready == 0 && who->pid > 0) kill(who->pid, SIGCONT);
  }
}

Made RunOps(int process, const Op* ops, size_t count) {
  Made all;
  for (size_t first = 0; first < count; first += kBatchOps) {
    Made made = RunBatch(process, ops + first, std::min(kBatchOps, count - first));
    if (made.error < 0 && all.error == 0) all.error = made.error;
    all.last = made.last;
  }
  return all;
}

int TakeProcess() {
  if (!systrap.free_processes.empty()) {
    int index = systrap.free_processes.back();
    systrap.free_processes.pop_back();
    systrap.processes[static_cast<size_t>(index)] = {};
    return index;
  }
  if (systrap.processes.size() >= kMaxProcesses) return -ENOMEM;
  systrap.processes.emplace_back();
  return static_cast<int>(systrap.processes.size()) - 1;
}

int CloneProcess(int from, int slot) {
  if (systrap.processes[static_cast<size_t>(from)].dead) return -ESRCH;
  int index = TakeProcess();
  if (index < 0) return index;
  Control* parent = ControlOf(from);
  parent->child_ops[0] = {SYS_prctl, {PR_SET_PDEATHSIG, SIGKILL}};
  parent->child_ops[1] = {SYS_munmap, {kThreads, kThreadsEnd - kThreads}};
  parent->child_ops[2] = {SYS_mmap,
                          {kControl, kControlBytes, PROT_READ, MAP_SHARED | MAP_FIXED,
                           static_cast<uint64_t>(systrap.control_fd),
                           static_cast<uint64_t>(index) * kControlBytes}};
  parent->child_count = 3;
  Control* control = ControlOf(index);
  control->result_fd = systrap.result_fd;
  control->done_fd = systrap.done_fd;
  control->parent_pid = static_cast<uint32_t>(systrap.sentry_pid);
  control->one = 1;
  control->go = 0;
  PrepareArea(slot);
  const Op clone = {SYS_clone, {kProcessFlags}};
  Made made = RunBatch(from, &clone, 1);
  if (made.error < 0) {
    if (made.error == -ESRCH) {
      Disown(index, from);
    } else {
      systrap.free_processes.push_back(index);
    }
    return static_cast<int>(made.error);
  }
  // Only now that its number is known it is asked for anything: so no report can be another's.
  Process& process = systrap.processes[static_cast<size_t>(index)];
  process.pid = static_cast<pid_t>(made.last);
  process.cpu = systrap.processes[static_cast<size_t>(from)].cpu;
  process.dead = systrap.strays.erase(process.pid) > 0;
  const Op first[] = {MapArea(slot), StartThread(slot)};
  made = RunBatch(index, first, 2);
  if (made.error < 0) {
    // It could not be furnished, or has ended before that.
    KillProcess(index);
    return made.error == -ESRCH ? -EAGAIN : static_cast<int>(made.error);
  }
  BindThread(slot, index, static_cast<pid_t>(made.last));
  return index;
}

long CloneThread(int process, int slot) {
  PrepareArea(slot);
  Op ops[] = {MapArea(slot), StartThread(slot)};
  Made made = RunBatch(process, ops, 2);
  if (made.error < 0) {
    MailboxOf(slot)->tid = 0;
    return made.error;
  }
  BindThread(slot, process, static_cast<pid_t>(made.last));
  return static_cast<long>(made.last);
}

void Reap() {
  for (;;) {
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
    if (pid <= 0) return;
    auto found = std::find_if(systrap.processes.begin(), systrap.processes.end(),
                              [&](const Process& each) { return each.pid == pid && !each.dead; });
    if (found == systrap.processes.end()) {
      systrap.strays.insert(pid);
      continue;
    }
    found->dead = true;
    for (int slot : found->slots) ReportGone(slot);
  }
}

void KillProcess(int index) {
  Process& process = systrap.processes[static_cast<size_t>(index)];
  if (!process.dead) {
    kill(process.pid, SIGKILL);
    // Its end is told when the last of its threads has let go of the memory.
    while (waitpid(process.pid, nullptr, __WALL) < 0 && errno == EINTR) continue;
  }
  for (int slot : process.slots) Forget(slot);
  bool reusable = !process.has_copy;
  process = {};
  if (reusable) systrap.free_processes.push_back(index);
}

void ExitThread(int slot) {
  Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  Process& process = systrap.processes[static_cast<size_t>(thread.process)];
  bool running = systrap.records[slot].state == kRunning;
  std::atomic_ref<uint32_t> state(MailboxOf(slot)->state);
  uint32_t before = state.exchange(kMailExit);
  if (before == kMailAsleep) syscall(SYS_futex, &MailboxOf(slot)->state, FUTEX_WAKE, 1);
  if (running && !process.dead) syscall(SYS_tgkill, process.pid, thread.tid, kInterruptSignal);
  std::erase(process.slots, slot);
  Forget(slot);
}

int EmptyProcess(int index) {
  Process& process = systrap.processes[static_cast<size_t>(index)];
  for (int slot : process.slots) {
    Park(slot);
    Forget(slot);
  }
  const Op unmap = {SYS_munmap, {0, kCode}};
  return static_cast<int>(RunBatch(index, &unmap, 1).error);
}

int ReviveThread(int slot) {
  const Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  const Process& process = systrap.processes[static_cast<size_t>(thread.process)];
  if (process.dead || !ToFrame(slot)) return -ESRCH;
  LayFrame(slot);
  RenewThread(slot);
  return 0;
}

void ParkThread(int slot) {
  Park(slot);
  Forget(slot);
}

bool HasEnded(int slot) { return std::atomic_ref<uint32_t>(MailboxOf(slot)->tid).load() == 0; }

}  // namespace runsc::systrap
