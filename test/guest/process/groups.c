/* Sessions, process groups, kill to groups, pid lookups. */
#include "guest.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sched.h>

static void sleeper(void) {
  for (;;) pause();
}

int main(void) {
  T(getsid(0) == getpid());
  T(getpgrp() == getpid());
  R(setsid());
  R(setpgid(0, 0));
  R(getpgid(999999));
  R(getsid(-1));
  R(kill(999999, 0));
  R(kill(getpid(), 65));
  R(kill(getpid(), -1));
  R(kill(-999999, SIGTERM));
  IN_CHILD("new group", {
    T(getpgrp() == getppid());
    R(setpgid(0, 0));
    T(getpgrp() == getpid());
    R(setpgid(0, getppid()));
    R(setpgid(0, 999999));
    R(setpgid(0, -1));
    R(setpgid(1, 0));
    T(setsid() == -1);
  });
  IN_CHILD("new session", {
    T(setsid() == getpid());
    T(getsid(0) == getpid());
    R(setpgid(0, getppid()));
  });
  /* A group signal reaches all its members and no one else. */
  pid_t first = fork();
  if (first == 0) {
    setpgid(0, 0);
    sleeper();
  }
  setpgid(first, first);
  pid_t second = fork();
  if (second == 0) {
    setpgid(0, first);
    sleeper();
  }
  setpgid(second, first);
  T(getpgid(second) == first);
  int status;
  R(waitpid(-first, &status, WNOHANG));
  R(kill(-first, SIGUSR1));
  reap("first", first);
  reap("second", second);
  R(kill(-first, 0));
  /* Another's session cannot be joined; a child that has executed cannot be moved: EACCES needs exec. */
  pid_t other = fork();
  if (other == 0) {
    setsid();
    sleeper();
  }
  sleep_ms(20);
  R(setpgid(other, getpid()));
  kill(other, SIGKILL);
  reap("other", other);
  /* Parent-death signal and subreaper. */
  int tell[2];
  pipe(tell);
  R(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid_t middle = fork();
  if (middle == 0) {
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGUSR2);
      write(tell[1], "r", 1);
      sleeper();
    }
    char c;
    read(tell[0], &c, 1);
    _exit(0);
  }
  reap("middle", middle);
  T(wait(&status) > 0);
  report_status("adopted grandchild", status);
  /* Priorities and limits are inherited. */
  R(setpriority(PRIO_PROCESS, 0, 5));
  errno = 0;
  IN_CHILD("nice", out("priority %d", getpriority(PRIO_PROCESS, 0)));
  struct rlimit limit = {100, 200};
  R(setrlimit(RLIMIT_NOFILE, &limit));
  IN_CHILD("limits", {
    getrlimit(RLIMIT_NOFILE, &limit);
    out("nofile %ld %ld", (long)limit.rlim_cur, (long)limit.rlim_max);
    R(dup2(1, 100));
    R(dup2(1, 99));
    R(fcntl(1, F_DUPFD, 100));
  });
  limit.rlim_cur = 300;
  R(setrlimit(RLIMIT_NOFILE, &limit));
  R(setrlimit(99, &limit));
  R(prctl(PR_GET_DUMPABLE));
  R(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  R(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  R(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
  R(prctl(12345));
  cpu_set_t set;
  T(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
  R(sched_getscheduler(0));
  R(sched_yield());
  return 0;
}
