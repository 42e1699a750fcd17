// Starting the platform: shared files, the signal handlers' description, the template process.

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "../doorbell.h"
#include "stub.h"
#include "systrap.h"

namespace runsc::systrap {

Systrap systrap;

namespace {

constexpr uint64_t kRestorerFlag = 0x04000000;  // SA_RESTORER
constexpr unsigned long kFsgsbase = 2;          // HWCAP2_FSGSBASE
constexpr double kFirstStopNs = 2e9;

// What the application's threads let through: the processor's signals and our own.
constexpr uint64_t Bit(int signal) { return 1ull << (signal - 1); }
constexpr int kHandled[] = {SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, kInterruptSignal};

// Other threads of this process, if it has any, may be those that the host tells.
void OnChild(int) {
  uint64_t one = 1;
  systrap.child_ended = true;
  (void)!write(systrap.doorbell_fd, &one, sizeof one);
}

constexpr size_t kAreas = kAreaBytes * kMaxSlots;
constexpr size_t kHeaderBytes = 0x1000;

// A sparse file and our view of it.
void* MakeShared(const char* name, size_t length, int* fd) {
  *fd = static_cast<int>(syscall(SYS_memfd_create, name, MFD_CLOEXEC));
  if (*fd < 0 || ftruncate(*fd, static_cast<off_t>(length)) < 0) return nullptr;
  void* view = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fd, 0);
  return view == MAP_FAILED ? nullptr : view;
}

int MakeFiles() {
  static_assert(kThreads + kAreas == kThreadsEnd);
  systrap.areas = static_cast<uint8_t*>(MakeShared("runsc-threads", kAreas, &systrap.area_fd));
  systrap.controls = static_cast<uint8_t*>(
      MakeShared("runsc-control", kControlBytes * kMaxProcesses, &systrap.control_fd));
  systrap.header = static_cast<Header*>(MakeShared("runsc-header", kHeaderBytes, &systrap.header_fd));
  if (!systrap.areas || !systrap.controls || !systrap.header) return -errno;
  systrap.result_fd = static_cast<int>(syscall(SYS_memfd_create, "runsc-result", MFD_CLOEXEC));
  systrap.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  systrap.doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  systrap.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  systrap.code_fd = MakeCodeFile();
  for (int fd : {systrap.result_fd, systrap.done_fd, systrap.doorbell_fd, systrap.epoll_fd,
                 systrap.code_fd}) {
    if (fd < 0) return -EMFILE;
  }
  return 0;
}

void FillHeader() {
  Header* header = systrap.header;
  header->doorbell_fd = systrap.doorbell_fd;
  header->one = 1;
  header->spin = SpinsOfThreads();
  header->signal_mask = ~0ull;
  for (int signal : kHandled) header->signal_mask &= ~Bit(signal);
  header->action.handler = HandlerAddress();
  header->action.flags = SA_SIGINFO | SA_ONSTACK | kRestorerFlag;
  header->action.restorer = RestorerAddress();
  header->action.mask = ~0ull;
  snprintf(header->name, sizeof header->name, "runsc-stub");
  size_t first = WriteProcessFilter(header->filters);
  size_t second = WriteThreadFilter(header->filters + first, systrap.doorbell_fd);
  auto address = [](size_t i) {
    return reinterpret_cast<sock_filter*>(kHeader + offsetof(Header, filters) +
                                          i * sizeof(sock_filter));
  };
  header->process_filter = {static_cast<unsigned short>(first), address(0)};
  header->thread_filter = {static_cast<unsigned short>(second), address(first)};
}

// The template's list: it sheds all that is not the stub, and confines itself.
void FillTemplateList(Control* control) {
  Op* op = control->ops;
  auto put = [&](Op each) { *op++ = each; };
  auto header = [](size_t offset) { return kHeader + offset; };
  put({SYS_munmap, {0, kCode}});
  put({SYS_munmap, {kControlEnd, kUserEnd - kControlEnd}});
  put({SYS_setsid, {}});
  put({SYS_prctl, {PR_SET_PDEATHSIG, SIGKILL}});
  put({SYS_prctl, {PR_SET_NAME, header(offsetof(Header, name))}});
  put({SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1}});
  for (int signal : kHandled) {
    put({SYS_rt_sigaction,
         {static_cast<uint64_t>(signal), header(offsetof(Header, action)), 0, 8}});
  }
  // Before the filter, which does not admit it; the last result is what is reported.
  put({SYS_seccomp, {1, 4, header(offsetof(Header, process_filter))}});
  put({SYS_getpid, {}});
  control->count = static_cast<uint32_t>(op - control->ops);
  control->result_fd = systrap.result_fd;
  control->done_fd = systrap.done_fd;
  control->parent_pid = static_cast<uint32_t>(systrap.sentry_pid);
  control->one = 1;
  control->go = 1;
}

int MakeTemplate() {
  systrap.template_process = TakeProcess();
  Process& process = systrap.processes[static_cast<size_t>(systrap.template_process)];
  Control* control = ControlOf(systrap.template_process);
  FillTemplateList(control);
  // Blocked signals are inherited, and the memory threads shall have none.
  uint64_t mask = ~0ull;
  uint64_t old = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, 8);
  pid_t copy = CloneTemplate(systrap.code_fd, systrap.header_fd, systrap.control_fd);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, nullptr, 8);
  if (copy < 0) return -errno;
  waitpid(copy, nullptr, __WALL);
  Made made = AwaitReport(&process);
  // The copy's own child is the template, and only it knows its number.
  process.pid = static_cast<pid_t>(made.last);
  return static_cast<int>(made.error);
}

void CountTicks() {
  double begin_ns = NowNs();
  uint64_t begin = __rdtsc();
  while (NowNs() < begin_ns + 1e6) continue;
  systrap.ticks_per_ms = __rdtsc() - begin;
}

// The first application thread shows where the host lays its frames.
int ProbeFrame() {
  int process = CloneProcess(systrap.template_process, 0);
  // One that has ended before it told of itself.
  if (process == -EAGAIN) return -ENOTSUP;
  if (process < 0) return process;
  double limit = NowNs() + kFirstStopNs;
  std::atomic_ref<uint32_t> state(MailboxOf(0)->state);
  const Process& probe = systrap.processes[static_cast<size_t>(process)];
  while (state.load() == 0 && !probe.dead && NowNs() < limit) {
    sched_yield();
    Reap();
  }
  bool learned = state.load() != 0 && LearnFrame(0);
  KillProcess(process);
  return learned ? 0 : -ENOTSUP;
}

// Takes back what a start that failed has made, so that another platform can be started.
void Undo() {
  for (const Process& process : systrap.processes) {
    if (process.pid <= 0 || process.dead) continue;
    kill(process.pid, SIGKILL);
    while (waitpid(process.pid, nullptr, __WALL) < 0 && errno == EINTR) continue;
  }
  munmap(systrap.areas, kAreas);
  munmap(systrap.controls, kControlBytes * kMaxProcesses);
  munmap(systrap.header, kHeaderBytes);
  munmap(systrap.shared, kSharedBytes);
  systrap.shared = nullptr;
  for (int fd : {systrap.code_fd, systrap.header_fd, systrap.control_fd, systrap.area_fd,
                 systrap.result_fd, systrap.done_fd, systrap.doorbell_fd, systrap.epoll_fd}) {
    if (fd >= 0) close(fd);
  }
  signal(SIGCHLD, SIG_DFL);
}

std::string MakeAll() {
  auto failed = [](const char* what, int error) {
    return std::string(what) + ": errno " + std::to_string(-error);
  };
  if (int error = MakeFiles(); error < 0) return failed("no shared files", error);
  FillHeader();
  if (int error = MakeTemplate(); error < 0) return failed("no confined process", error);
  if (int error = ProbeFrame(); error < 0) return failed("no thread whose calls trap", error);
  return "";
}

}  // namespace

std::string Start() {
  if (systrap.shared != nullptr) return "it was started before";
  if ((getauxval(AT_HWCAP2) & kFsgsbase) == 0) {
    return "no FSGSBASE instructions in the processor or the host's kernel";
  }
  void* memory = mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return "no memory for records";
  systrap.shared = static_cast<runsc::Header*>(memory);
  systrap.records = reinterpret_cast<Record*>(systrap.shared + 1);
  systrap.threads.reserve(kMaxSlots);
  systrap.staged = std::make_unique_for_overwrite<Op[]>(kStagedOps);
  systrap.sentry_pid = static_cast<pid_t>(syscall(SYS_getpid));
  if (sched_getaffinity(0, sizeof systrap.allowed, &systrap.allowed) == 0) {
    systrap.processors = CPU_COUNT(&systrap.allowed);
  }
  struct sigaction child {};
  child.sa_handler = OnChild;
  child.sa_flags = SA_NOCLDSTOP | SA_RESTART;
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  sigaction(SIGCHLD, &child, nullptr);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  CountTicks();
  std::string problem = MakeAll();
  if (!problem.empty()) Undo();
  return problem;
}

}  // namespace runsc::systrap
