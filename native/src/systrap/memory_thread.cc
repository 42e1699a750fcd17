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

#include "systrap.h"

namespace runsc::systrap {
namespace {

constexpr uint64_t kProcessFlags = CLONE_PARENT | CLONE_FILES | SIGCHLD;
constexpr uint64_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                  CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;

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

// For a process that may have been made by one that ended before it could tell: nobody knows its
// number. It is told to end and to report nothing, and its page is left to it.
void Disown(int index) {
  Control* control = ControlOf(index);
  control->one = 0;
  control->result_fd = -1;
  control->ops[0] = {SYS_exit_group, {}};
  control->count = 1;
  Go(index);
}

// One list, at most kBatchOps operations long.
Made RunBatch(int index, const Op* ops, size_t count, uint64_t reports) {
  Process& process = systrap.processes[static_cast<size_t>(index)];
  if (process.dead) return {-ESRCH, 0};
  Control* control = ControlOf(index);
  std::copy_n(ops, count, control->ops);
  control->count = static_cast<uint32_t>(count);
  control->result_fd = systrap.result_fd;
  // A first report may be the child's: then this is not yet told.
  if (reports > 1) lseek(systrap.result_fd, 0, SEEK_SET);
  StayBeside();
  KeepNear(&process);
  Go(index);
  int error = AwaitReports(reports, &process);
  NoteWhere();
  if (error < 0) return {error, 0};
  uint64_t result = ResultOf(systrap.result_fd);
  return {-static_cast<long>(result & 0xfff), result >> 12};
}

}  // namespace

uint64_t ResultOf(int fd) { return static_cast<uint64_t>(lseek(fd, 0, SEEK_CUR)); }

int AwaitReports(uint64_t expected, const Process* who) {
  uint64_t seen = 0;
  for (;;) {
    pollfd fd = {systrap.done_fd, POLLIN, 0};
    timespec patience = {0, 100'000'000};
    int ready = ppoll(&fd, 1, &patience, &systrap.open_mask);
    uint64_t count = 0;
    if (ready > 0 && read(systrap.done_fd, &count, sizeof count) > 0) {
      seen += count;
      // A list that failed has made no child to wait for.
      if (seen >= expected || (ResultOf(systrap.result_fd) & 0xfff) != 0) return 0;
    }
    if (ready <= 0) {
      Reap();
      // The template's number is what its first report tells.
      if (who->dead || (who->pid == 0 && !systrap.strays.empty())) return -ESRCH;
      // Somebody outside may have stopped it.
      if (ready == 0 && who->pid > 0) kill(who->pid, SIGCONT);
      // The child a list made has ended before it could report.
      if (seen > 0 && systrap.strays.erase(static_cast<pid_t>(ResultOf(systrap.result_fd) >> 12))) {
        return -EAGAIN;
      }
    }
  }
}

Made RunOps(int process, const Op* ops, size_t count) {
  Made all;
  for (size_t first = 0; first < count; first += kBatchOps) {
    Made made = RunBatch(process, ops + first, std::min(kBatchOps, count - first), 1);
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
  control->result_fd = systrap.child_result_fd;
  control->done_fd = systrap.done_fd;
  control->parent_pid = static_cast<uint32_t>(systrap.sentry_pid);
  control->one = 1;
  control->ops[0] = MapArea(slot);
  control->ops[1] = StartThread(slot);
  control->count = 2;
  control->go = 1;
  PrepareArea(slot);
  const Op clone = {SYS_clone, {kProcessFlags}};
  Made made = RunBatch(from, &clone, 1, 2);
  auto pid = static_cast<pid_t>(made.last);
  uint64_t child = made.error == 0 ? ResultOf(systrap.child_result_fd) : 0;
  long error = made.error != 0 ? made.error : -static_cast<long>(child & 0xfff);
  if (error < 0) {
    // A child that could not be furnished.
    if (made.error == 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, __WALL);
    }
    if (made.error == -ESRCH) {
      Disown(index);
    } else {
      systrap.free_processes.push_back(index);
    }
    return static_cast<int>(error);
  }
  Process& process = systrap.processes[static_cast<size_t>(index)];
  process.pid = pid;
  process.cpu = systrap.processes[static_cast<size_t>(from)].cpu;
  BindThread(slot, index, static_cast<pid_t>(child >> 12));
  return index;
}

long CloneThread(int process, int slot) {
  PrepareArea(slot);
  Op ops[] = {MapArea(slot), StartThread(slot)};
  Made made = RunBatch(process, ops, 2, 1);
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
  process = {};
  systrap.free_processes.push_back(index);
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
  return static_cast<int>(RunBatch(index, &unmap, 1, 1).error);
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
