/*
 * The set-user-ID bit counts for programs, never for scripts, and not while another process shares root and
 * working directory.
 */
#include "guest.h"
#include <sched.h>
#include <sys/syscall.h>

static void run(const char *what, const char *path, long flags) {
  pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    if (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0) _exit(90);
    char *args[] = {(char *)path, "euid", NULL};
    execv(path, args);
    _exit(91);
  }
  reap(what, pid);
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) return geteuid() == 0 ? 10 : 20;
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0) return 1;
  self[n] = 0;
  /* A place that other users may enter. */
  char directory[] = "/tmp/set_id.XXXXXX";
  if (!mkdtemp(directory) || chmod(directory, 0755) < 0 || chdir(directory) < 0) return 1;
  char command[8300], program[4200], script[4200];
  snprintf(program, sizeof program, "%s/program", directory);
  snprintf(script, sizeof script, "%s/script", directory);
  int in = open(self, O_RDONLY), to = open(program, O_WRONLY | O_CREAT, 0755);
  while ((n = read(in, command, sizeof command)) > 0)
    if (write(to, command, (size_t)n) != n) return 1;
  close(to);
  n = snprintf(command, sizeof command, "#!%s\n", program);
  to = open(script, O_WRONLY | O_CREAT, 0755);
  if (write(to, command, (size_t)n) != n) return 1;
  close(to);
  run("plain program", program, 0);
  chmod(script, 04755);
  run("set-ID script", script, 0);
  chmod(program, 04755);
  run("set-ID program", program, 0);
  run("set-ID program, working directory shared", program, CLONE_FS);

  unlink(script);
  unlink(program);
  rmdir(directory);
  return 0;
}
