// The kernel thread sleeps in wait4(2), which is the fastest way to hear of a tracee's stop, but
// knows neither descriptors nor deadlines. So a second thread sleeps in poll(2) for those and
// interrupts wait4 by a signal. The thread only runs when something happens: there is no tick.
//
// A signal that lands between the check of the bell and the system call would be lost. As in musl's
// cancellation points, the handler looks where it struck: anywhere from the check up to the
// system call instruction (an interrupted call is restarted, so it is at that instruction too) it
// moves on to the code that returns -EINTR.

#include "doorbell.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

// long runsc_wait(int* status): wait4(-1, status, __WALL, NULL), unless runsc_bell is not zero.
asm(R"(
  .pushsection .text
  .type runsc_wait, @function
runsc_wait:
  mov %rdi, %rsi
  mov $-1, %rdi
  mov $0x40000000, %edx
  xor %r10d, %r10d
  mov $61, %eax
runsc_wait_begin:
  cmpl $0, runsc_bell(%rip)
  jne runsc_wait_abort
  syscall
runsc_wait_end:
  ret
runsc_wait_abort:
  mov $-4, %rax
  ret
  .size runsc_wait, . - runsc_wait
  .popsection
)");

extern "C" {
long runsc_wait(int* status);
extern const char runsc_wait_begin[], runsc_wait_end[], runsc_wait_abort[];
// Bits: a descriptor is ready; the timer fired.
__attribute__((visibility("hidden"))) std::atomic<uint32_t> runsc_bell{0};
}

namespace runsc {
namespace {

constexpr uint32_t kFd = 1;
constexpr uint32_t kTimer = 2;

int epoll_fd = -1;
int timer_fd = -1;
pid_t kernel_pid = 0;
pid_t kernel_tid = 0;
double timer_at_ns = kNever;

// 1 while the thread watches the descriptors, 0 once they rang and until the bell is armed again.
std::atomic<uint32_t> armed{0};
// The thread has made the calls with which libc begins one: a filter may forbid them from now on.
std::atomic<uint32_t> stands{0};
// An address in the thread's stack, before that.
std::atomic<uintptr_t> stack{0};

// Not a real-time signal: those are refused once the user has too many queued.
constexpr int kWakeSignal = SIGURG;

void OnWake(int, siginfo_t*, void* context) {
  auto& rip = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  auto at = reinterpret_cast<const char*>(rip);
  if (at >= runsc_wait_begin && at < runsc_wait_end) {
    rip = reinterpret_cast<greg_t>(runsc_wait_abort);
  }
}

void OnChild(int) {}

void* Watch(void*) {
  stack.store(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  stands.store(1);
  syscall(SYS_futex, &stands, FUTEX_WAKE_PRIVATE, 1);
  for (;;) {
    while (armed.load() == 0) syscall(SYS_futex, &armed, FUTEX_WAIT_PRIVATE, 0, nullptr);
    pollfd fds[] = {{epoll_fd, POLLIN, 0}, {timer_fd, POLLIN, 0}};
    if (ppoll(fds, 2, nullptr, nullptr) <= 0) continue;
    uint64_t expirations = 0;
    if (fds[1].revents != 0 && read(timer_fd, &expirations, sizeof expirations) > 0) {
      runsc_bell.fetch_or(kTimer);
    }
    if (fds[0].revents != 0) {
      armed.store(0);
      runsc_bell.fetch_or(kFd);
    }
    syscall(SYS_tgkill, kernel_pid, kernel_tid, kWakeSignal);
  }
  return nullptr;
}

timespec ToTimespec(double ns) {
  auto seconds = static_cast<time_t>(ns / 1e9);
  return {seconds, static_cast<long>(ns - static_cast<double>(seconds) * 1e9)};
}

void SetTimer(double at_ns) {
  itimerspec spec{};
  // Zero would disarm it; a deadline in the past fires at once.
  spec.it_value = ToTimespec(std::max(at_ns, 1.0));
  timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, nullptr);
  timer_at_ns = at_ns;
}

int StartThread() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, Watch, nullptr);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  while (error == 0 && stands.load() == 0) {
    syscall(SYS_futex, &stands, FUTEX_WAIT_PRIVATE, 0, nullptr);
  }
  return -error;
}

}  // namespace

double NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

int DoorbellStart() {
  kernel_pid = static_cast<pid_t>(syscall(SYS_getpid));
  kernel_tid = static_cast<pid_t>(syscall(SYS_gettid));
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (epoll_fd < 0 || timer_fd < 0) return -errno;
  struct sigaction wake {};
  wake.sa_sigaction = OnWake;
  wake.sa_flags = SA_SIGINFO | SA_RESTART;
  if (sigaction(kWakeSignal, &wake, nullptr) < 0) return -errno;
  // Dead children are heard of while sleeping for descriptors only, where ppoll opens the mask.
  struct sigaction child {};
  child.sa_handler = OnChild;
  child.sa_flags = SA_NOCLDSTOP | SA_RESTART;
  if (sigaction(SIGCHLD, &child, nullptr) < 0) return -errno;
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  return StartThread();
}

int DoorbellEpollFd() { return epoll_fd; }

pid_t DoorbellWait(int* status, double at_ns) {
  if ((runsc_bell.load(std::memory_order_relaxed) & kTimer) != 0) {
    runsc_bell.fetch_and(~kTimer);
    timer_at_ns = kNever;
    return -EINTR;
  }
  if (at_ns < timer_at_ns) SetTimer(at_ns);
  if (armed.load(std::memory_order_relaxed) == 0) {
    armed.store(1);
    syscall(SYS_futex, &armed, FUTEX_WAKE_PRIVATE, 1);
  }
  return static_cast<pid_t>(runsc_wait(status));
}

bool DoorbellSleep(double at_ns) {
  sigset_t open;
  pthread_sigmask(SIG_BLOCK, nullptr, &open);
  sigdelset(&open, SIGCHLD);
  pollfd fd = {epoll_fd, POLLIN, 0};
  timespec timeout{};
  if (at_ns != kNever) timeout = ToTimespec(std::max(at_ns - NowNs(), 0.0));
  return ppoll(&fd, 1, at_ns == kNever ? nullptr : &timeout, &open) > 0;
}

bool DoorbellStandsIn(uintptr_t start, uintptr_t end) {
  uintptr_t at = stack.load();
  return at >= start && at < end;
}

bool DoorbellRang() { return (runsc_bell.load(std::memory_order_relaxed) & kFd) != 0; }

void DoorbellAnswer() { runsc_bell.fetch_and(~kFd); }

}  // namespace runsc
