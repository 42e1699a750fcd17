/*
 * Runs the guest programs named on its command line, one after another, and marks in the output
 * where each begins and ends and how. Each gets a session and an empty directory of its own, and
 * TIMEOUT_S seconds. It is the first process of its pid namespace, so it also reaps orphans.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_S = 30 };

static void say(const char *verb, const char *name, int status) {
  char line[300];
  int n = snprintf(line, sizeof line, "\n@@@ %s %s %d\n", verb, name, status);
  if (write(1, line, (size_t)n) != n) _exit(99);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void child(const char *path, int index) {
  char directory[64];
  snprintf(directory, sizeof directory, "/tmp/work.%d", index);
  mkdir(directory, 0777);
  chmod(directory, 0777);
  if (chdir(directory) < 0) _exit(98);
  setsid();
  int null = open("/dev/null", O_RDWR);
  if (null >= 0) dup2(null, 0);
  dup2(1, 2);
  for (int fd = 3; fd < 64; fd++) close(fd);
  umask(022);
  char *argv[] = {(char *)path, NULL};
  char *envp[] = {"PATH=/bin", "HOME=/", NULL};
  execve(path, argv, envp);
  printf("exec: %s\n", strerror(errno));
  fflush(stdout);
  _exit(97);
}

static int run(const char *path, int index) {
  pid_t pid = fork();
  if (pid < 0) return 96;
  if (pid == 0) child(path, index);
  double deadline = now() + TIMEOUT_S;
  for (;;) {
    int status;
    pid_t got = waitpid(-1, &status, WNOHANG);
    if (got == pid) {
      kill(-pid, SIGKILL);
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (got > 0) continue;
    if (now() > deadline) {
      kill(-pid, SIGKILL);
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      return 124;
    }
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
  }
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *name = strncmp(argv[i], "/guest/", 7) == 0 ? argv[i] + 7 : argv[i];
    say("begin", name, 0);
    say("end", name, run(argv[i], i));
  }
  return 0;
}
