/*
 * With --host-fifo=open: what is opened where a fifo stands. Those in the volumes are fair game; beside them are a
 * fifo with the secret in it, and a process of the host that puts a file, a device or a link to that fifo in a
 * fifo's place while it is being opened.
 *
 *   fifos OUTSIDE PID              in the sandbox
 *   fifos swap DIRECTORY SECONDS   on the host
 */
#include "escape.h"

enum { RACE_S = 8 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* `place` is by turns each of them. */
static void swap(const char *directory, double until) {
  static const char *others[] = {"swap.file", "swap.device", "swap.link", "swap.fifo"};
  if (chdir(directory) < 0) _exit(3);
  while (now() < until)
    for (unsigned i = 0; i < 4; i++) renameat2(AT_FDCWD, "swap", AT_FDCWD, others[i], RENAME_EXCHANGE);
}

static long fifos, files;

static void look_at(int fd) {
  struct stat s;
  char text[16] = "";
  if (fstat(fd, &s) < 0) return;
  ssize_t n = read(fd, text, sizeof text - 1);
  if (S_ISFIFO(s.st_mode)) {
    fifos++;
    /* Nobody writes to the fifos in the volume: bytes would be those of something else. */
    if (n > 0) ESCAPED("a fifo has the bytes %s", text);
  } else if (S_ISREG(s.st_mode)) {
    files++;
    if (n > 0 && memcmp(text, "inside", 6) != 0) ESCAPED("a file has the bytes %s", text);
  } else
    ESCAPED("opened a file of type %o", s.st_mode);
}

static void races(void) {
  static const int ways[] = {O_RDONLY, O_RDWR, O_WRONLY};
  double until = now() + RACE_S;
  for (unsigned i = 0; now() < until; i++) {
    int fd = open("/rw/swap", ways[i % 3] | O_NONBLOCK | O_NOCTTY);
    attempts++;
    if (fd < 0) continue;
    if (i % 3 != 2) look_at(fd);
    close(fd);
  }
  out("fifos %ld files %ld", fifos, files);
}

static void outside_fifo(void) {
  char path[4300];
  attempt_outside("");
  snprintf(path, sizeof path, "%s/fifo", outside);
  attempt(path);
  attempt("/rw/swap.link");
  attempt("/rw/host-absolute/fifo");
  attempt("/rw/host-relative/fifo");
  attempt("/rw/../outside/fifo");
}

static void read_only(void) {
  static const int ways[] = {O_WRONLY, O_RDWR};
  for (unsigned i = 0; i < 2; i++) {
    int fd = open("/ro/fifo", ways[i] | O_NONBLOCK);
    attempts++;
    if (fd < 0) continue;
    if (write(fd, "escaped", 7) > 0) ESCAPED("wrote to a fifo in a read-only volume");
    close(fd);
  }
  int fd = open("/ro/fifo", O_RDONLY | O_NONBLOCK);
  if (fd < 0) _exit(5);
  close(fd);
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "swap") == 0) {
    swap(argv[2], now() + atof(argv[3]));
    return 0;
  }
  start(argc, argv);
  read_only();
  outside_fifo();
  races();
  if (fifos < 100 || files < 100) return 6;
  return finish();
}
