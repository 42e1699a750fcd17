/*
 * What every guest program uses to report. One line per check; values that differ from run to run
 * (pointers, pids, times) are never printed. Output goes out with write(2) at once, so that it stays
 * in order across fork and is not lost in a crash.
 */
#ifndef GUEST_H
#define GUEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2))) static inline void out(const char *format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line - 1, format, args);
  va_end(args);
  if (n > (int)sizeof line - 2) n = sizeof line - 2;
  line[n++] = '\n';
  if (write(1, line, (size_t)n) != n) _exit(99);
}

static inline const char *errno_name(int number) {
  const char *name = strerrorname_np(number);
  return name ? name : "?";
}

static inline long report(const char *what, long result) {
  int saved = errno;
  if (result == -1)
    out("%s = -1 %s", what, errno_name(saved));
  else
    out("%s = %ld", what, result);
  errno = saved;
  return result;
}

/* Reports the value of a call, or its errno. */
#define R(call) (errno = 0, report(#call, (long)(call)))
/* Reports only whether it worked: for calls whose value is a descriptor or a pid. */
#define OK(call) (errno = 0, report_ok(#call, (long)(call)))
/* A condition that must hold on Linux. */
#define T(condition) out("%s: %s", #condition, (condition) ? "true" : "false")

static inline long report_ok(const char *what, long result) {
  int saved = errno;
  if (result == -1)
    out("%s = -1 %s", what, errno_name(saved));
  else
    out("%s ok", what);
  errno = saved;
  return result;
}

/* How a child ended, in words. */
static inline void report_status(const char *what, int status) {
  if (WIFEXITED(status))
    out("%s: exited %d", what, WEXITSTATUS(status));
  else if (WIFSIGNALED(status))
    out("%s: killed by %s%s", what, sigabbrev_np(WTERMSIG(status)) ?: "RT",
        WCOREDUMP(status) ? " (core)" : "");
  else if (WIFSTOPPED(status))
    out("%s: stopped by %s", what, sigabbrev_np(WSTOPSIG(status)));
  else if (WIFCONTINUED(status))
    out("%s: continued", what);
}

static inline void reap(const char *what, pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid)
    out("%s: waitpid: %s", what, errno_name(errno));
  else
    report_status(what, status);
}

static inline void sleep_ms(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) < 0 && errno == EINTR) continue;
}

/* Runs `body` in a child and reports how it ended. */
#define IN_CHILD(name, ...)      \
  do {                           \
    pid_t child_pid = fork();    \
    if (child_pid == 0) {        \
      __VA_ARGS__;               \
      _exit(0);                  \
    }                            \
    reap(name, child_pid);       \
  } while (0)

/* Where this process has mappings of that name: how many, at most `most`. */
static inline int find_mapped(const char *name, uint64_t *found, int most) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  int count = 0;
  while (maps && fgets(line, sizeof line, maps)) {
    if (strstr(line, name) && count < most) sscanf(line, "%lx", &found[count++]);
  }
  fclose(maps);
  return count;
}

static inline void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) out("write_file %s: %s", path, errno_name(errno));
  close(fd);
}

#endif
