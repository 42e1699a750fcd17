/* Blocking, pending, waiting for signals; the order and depth of real-time queues. */
#include "guest.h"
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/resource.h>

static int order[32], count;

static void note(int signo, siginfo_t *si, void *context) {
  (void)context;
  if (count < 32) order[count++] = signo * 100 + (si->si_code == SI_QUEUE ? si->si_value.sival_int : 0);
}

/* The limit is the user's, and the host's root has other processes: so it is nobody else. */
static void limited_queue(void) {
  unsigned number;
  getrandom(&number, sizeof number, 0);
  T(setuid(100000 + number % 1000000) == 0);
  struct rlimit limit = {5, 5};
  setrlimit(RLIMIT_SIGPENDING, &limit);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &one, NULL);
  union sigval v = {.sival_int = 3};
  int sent = 0;
  while (sent < 100 && sigqueue(getpid(), SIGRTMIN, v) == 0) sent++;
  out("queued %d, then %s", sent, errno_name(errno));

  int fd = signalfd(-1, &one, SFD_NONBLOCK);
  struct signalfd_siginfo si[4];
  T(read(fd, si, sizeof si) > 0);
  out("signalfd: signo %d value %d", si[0].ssi_signo, si[0].ssi_int);
  while (read(fd, si, sizeof si) > 0) continue;
  out("then %s", errno_name(errno));
  R(read(fd, si, 10));
}

int main(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = note;
  sa.sa_flags = SA_SIGINFO;
  int used[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 5};
  sigset_t all;
  sigemptyset(&all);
  for (unsigned i = 0; i < sizeof used / sizeof *used; i++) {
    sigaction(used[i], &sa, NULL);
    sigaddset(&all, used[i]);
  }
  sigprocmask(SIG_BLOCK, &all, NULL);
  union sigval v;
  for (int i = 1; i <= 3; i++) {
    v.sival_int = i;
    sigqueue(getpid(), SIGRTMIN + 5, v);
    sigqueue(getpid(), SIGRTMIN, v);
    sigqueue(getpid(), SIGUSR1, v);
  }
  kill(getpid(), SIGTERM);
  kill(getpid(), SIGUSR2);
  sigset_t pending;
  sigpending(&pending);
  for (unsigned i = 0; i < sizeof used / sizeof *used; i++) out("signal %d pending %d", used[i], sigismember(&pending, used[i]));
  siginfo_t info;
  struct timespec zero = {0, 0};
  int got = sigtimedwait(&all, &info, &zero);
  out("first taken %d", got);
  sigprocmask(SIG_UNBLOCK, &all, NULL);
  /* Handlers nest in delivery order, so the lowest number runs last to finish but is entered first or
   * last depending on the frame order; only the set and the order within one signal are checked. */
  for (unsigned s = 0; s < sizeof used / sizeof *used; s++)
    for (int i = 0; i < count; i++)
      if (order[i] / 100 == used[s]) out("delivered %d value %d", order[i] / 100, order[i] % 100);

  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR1);
  sigprocmask(SIG_BLOCK, &one, NULL);
  struct timespec soon = {0, 20000000};
  R(sigtimedwait(&one, &info, &soon));
  struct timespec bad = {0, 2000000000};
  R(sigtimedwait(&one, &info, &bad));
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    sleep_ms(30);
    kill(parent, SIGUSR1);
    _exit(0);
  }
  T(sigwaitinfo(&one, &info) == SIGUSR1);
  T(info.si_pid == pid);
  reap("sender", pid);

  /* sigsuspend swaps the mask, and puts it back. */
  count = 0;
  sigset_t none;
  sigemptyset(&none);
  pid = fork();
  if (pid == 0) {
    sleep_ms(30);
    kill(parent, SIGUSR1);
    _exit(0);
  }
  R(sigsuspend(&none));
  out("handled %d", count);
  sigset_t now;
  sigprocmask(SIG_SETMASK, NULL, &now);
  out("blocked again %d", sigismember(&now, SIGUSR1));
  reap("sender", pid);

  IN_CHILD("limited queue", limited_queue());
  sigaddset(&one, SIGRTMIN);
  R(sigprocmask(99, &one, NULL));
  R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &one, NULL, 4));
  sigfillset(&one);
  sigprocmask(SIG_SETMASK, &one, &now);
  sigprocmask(SIG_SETMASK, NULL, &now);
  out("KILL and STOP cannot be blocked: %d %d", sigismember(&now, SIGKILL), sigismember(&now, SIGSTOP));
  return 0;
}
