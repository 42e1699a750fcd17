/* fork, wait4, waitid: every way a child's end is reported. */
#include "guest.h"
#include <sys/resource.h>

static pid_t child_exit(int code) {
  pid_t pid = fork();
  if (pid == 0) _exit(code);
  return pid;
}

int main(void) {
  reap("exit 0", child_exit(0));
  reap("exit 3", child_exit(3));
  reap("exit 256+7", child_exit(256 + 7));
  int deadly[] = {SIGKILL, SIGTERM, SIGSEGV, SIGABRT, SIGUSR1, SIGPIPE, SIGALRM};
  for (unsigned i = 0; i < sizeof deadly / sizeof *deadly; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      raise(deadly[i]);
      _exit(1);
    }
    int status;
    waitpid(pid, &status, 0);
    out("killed by %s: signaled %d", sigabbrev_np(WTERMSIG(status)), WIFSIGNALED(status));
  }
  int status;
  R(waitpid(-1, &status, 0));
  R(waitpid(-1, &status, WNOHANG));
  R(waitpid(getpid(), &status, 0));
  R(waitpid(999999, &status, 0));
  R(waitpid(-1, &status, 0x40000000 | 0x100));

  /* WNOHANG on a living child, then WNOWAIT, then reaping it. */
  int gate[2];
  pipe(gate);
  pid_t pid = fork();
  if (pid == 0) {
    char c;
    close(gate[1]);
    if (read(gate[0], &c, 1) != 0) _exit(1);
    _exit(42);
  }
  R(waitpid(pid, &status, WNOHANG));
  close(gate[1]);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  R(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
  out("code %d status %d signo %s own pid %d", info.si_code == CLD_EXITED, info.si_status,
      sigabbrev_np(info.si_signo), info.si_pid == pid);
  memset(&info, 0, sizeof info);
  R(waitid(P_PID, (id_t)pid, &info, WEXITED));
  R(waitid(P_PID, (id_t)pid, &info, WEXITED));
  R(waitid(P_ALL, 0, &info, 0));
  R(waitid(99, 0, &info, WEXITED));

  /* Stop and continue. */
  pid = fork();
  if (pid == 0)
    for (;;) pause();
  kill(pid, SIGSTOP);
  waitpid(pid, &status, WUNTRACED);
  report_status("stopped", status);
  kill(pid, SIGCONT);
  waitpid(pid, &status, WCONTINUED);
  report_status("continued", status);
  kill(pid, SIGKILL);
  struct rusage usage;
  memset(&usage, 0xff, sizeof usage);
  T(wait4(pid, &status, 0, &usage) == pid);
  report_status("then", status);
  T(usage.ru_utime.tv_sec == 0 && usage.ru_utime.tv_usec >= 0);

  /* An ignored SIGCHLD makes no zombies. */
  signal(SIGCHLD, SIG_IGN);
  child_exit(1);
  R(wait(&status));
  signal(SIGCHLD, SIG_DFL);

  /* Orphans get the init of the namespace as their parent. */
  int tell[2];
  pipe(tell);
  pid = fork();
  if (pid == 0) {
    if (fork() == 0) {
      while (getppid() != 1) sleep_ms(1);
      write(tell[1], "o", 1);
      _exit(0);
    }
    _exit(0);
  }
  reap("parent of orphan", pid);
  char c = 0;
  R(read(tell[0], &c, 1));
  return 0;
}
