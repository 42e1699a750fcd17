/*
 * What the programs of the escape suite share. Each is given the host's path of a directory that it
 * must not reach (OUTSIDE, with a file `secret` in it) and tries; whatever it can read it prints, so
 * that the host finds the secret in the output, and what it can write the host finds in its files.
 */
#ifndef ESCAPE_H
#define ESCAPE_H

#include "../guest/guest.h"

static const char *outside;
static int attempts;

/* What must not be possible, and was. */
#define ESCAPED(...) out("ESCAPED " __VA_ARGS__)

/* Prints what a descriptor gives. */
static inline void show(const char *what, int fd) {
  char text[65];
  ssize_t n = read(fd, text, sizeof text - 1);
  if (n <= 0) n = pread(fd, text, sizeof text - 1, 0);
  if (n > 0) {
    text[n] = 0;
    for (ssize_t i = 0; i < n; i++)
      if (text[i] < ' ' || text[i] > '~') text[i] = '.';
    out("read %s: %s", what, text);
  }
}

/* Reads, overwrites, makes and removes by this name, and follows it with every call that does. */
static inline void attempt(const char *path) {
  char below[4400];
  attempts++;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) {
    show(path, fd);
    struct stat s;
    if (fstat(fd, &s) == 0 && S_ISDIR(s.st_mode)) {
      int in = openat(fd, "secret", O_RDONLY | O_NONBLOCK);
      if (in >= 0) show(path, in), close(in);
      in = openat(fd, "../outside/secret", O_RDONLY | O_NONBLOCK);
      if (in >= 0) show(path, in), close(in);
      unlinkat(fd, "secret", 0);
    }
    close(fd);
  }
  fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) {
    if (write(fd, "escaped", 7) < 0) errno = 0;
    close(fd);
  }
  snprintf(below, sizeof below, "%s/secret", path);
  fd = open(below, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) show(below, fd), close(fd);
  chmod(below, 0777);
  snprintf(below, sizeof below, "%s/made", path);
  mkdir(below, 0777);
  snprintf(below, sizeof below, "%s/made.file", path);
  fd = open(below, O_WRONLY | O_CREAT | O_CLOEXEC, 0777);
  if (fd >= 0) close(fd);
}

/* The same for a name under OUTSIDE, in front of which `prefix` stands. */
static inline void attempt_outside(const char *prefix) {
  char path[4300];
  snprintf(path, sizeof path, "%s%s", prefix, outside);
  attempt(path);
  snprintf(path, sizeof path, "%s%s/secret", prefix, outside);
  attempt(path);
}

static inline void start(int argc, char **argv) {
  /* Started by itself, in place of an interpreter. */
  if (argc < 2 || strstr(argv[1], "/outside") == NULL) _exit(2);
  outside = argv[1];
  alarm(60);
}

static inline int finish(void) {
  out("done %d", attempts);
  return 0;
}

#endif
