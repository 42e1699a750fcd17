/* Orphaned process groups, inherited children, exit signals that are none. */
#include "guest.h"
#include <sched.h>
#include <sys/prctl.h>

/* A group that was orphaned all along gets no SIGHUP because one of its members ends. */
static void session(void) {
  setsid();
  pid_t stopped = fork();
  if (stopped == 0)
    for (;;) pause();
  kill(stopped, SIGSTOP);
  waitpid(stopped, NULL, WUNTRACED);
  pid_t other = fork();
  if (other == 0) _exit(0);
  waitpid(other, NULL, 0);
  usleep(20000);
  kill(stopped, SIGKILL);
  waitpid(stopped, NULL, 0);
  _exit(7);
}

static pid_t clone_with(int exit_signal) {
  return (pid_t)syscall(SYS_clone, exit_signal, NULL, NULL, NULL, 0);
}

int main(void) {
  pid_t pid = fork();
  if (pid == 0) session();
  int status = 0;
  waitpid(pid, &status, 0);
  report_status("session leader", status);

  pid = clone_with(200);
  if (pid == 0) _exit(3);
  R(waitpid(pid, &status, WNOHANG));
  T(waitpid(pid, &status, __WCLONE) == pid);
  report_status("exit signal 200", status);

  /* Whatever signal it was to send its parent: who inherits it gets SIGCHLD and can wait for it. */
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  int ends[2];
  if (pipe(ends) < 0) return 1;
  pid = fork();
  if (pid == 0) {
    pid_t grandchild = clone_with(SIGUSR1);
    if (grandchild == 0) {
      char byte;
      close(ends[1]);
      if (read(ends[0], &byte, 1) < 0) _exit(1);
      _exit(5);
    }
    _exit(0);
  }
  waitpid(pid, NULL, 0);
  close(ends[1]);
  T(wait(&status) > 0);
  report_status("inherited", status);
  return 0;
}
