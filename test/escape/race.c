/*
 * Two racers in the sandbox, for SECONDS: one swaps a directory of the volume with a link to OUTSIDE, one
 * does everything that follows names to it. `host` is swapped likewise, by a process of the host.
 *
 *   race OUTSIDE SECONDS          in the sandbox
 *   race swap DIRECTORY SECONDS   on the host
 */
#include "escape.h"
#include <sys/mman.h>

struct counts {
  volatile long swaps, inside, elsewhere;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* `place` is by turns the directory and the link. */
static void swap(const char *place, double until, volatile long *swaps) {
  char kept[4300], link[4300];
  snprintf(kept, sizeof kept, "%s.kept", place);
  snprintf(link, sizeof link, "%s.link", place);
  while (now() < until) {
    rename(place, kept);
    rename(link, place);
    if (swaps != NULL) ++*swaps;
    rename(place, link);
    rename(kept, place);
  }
}

static void look_at(int fd, struct counts *counts) {
  char text[16] = "";
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  if (n > 0 && memcmp(text, "inside", 6) == 0)
    counts->inside++;
  else
    show("racing", fd);
  close(fd);
}

static void use(const char *place, struct counts *counts) {
  char path[256], other[256];
  attempts++;
  snprintf(path, sizeof path, "%s/secret", place);
  int fd = open(path, O_RDWR | O_APPEND);
  if (fd < 0) counts->elsewhere++;
  if (fd >= 0) {
    if (write(fd, "+", 1) < 0) out("write: %s", errno_name(errno));
    look_at(fd, counts);
  }
  struct stat s;
  if (stat(path, &s) == 0 && s.st_size > 65536) truncate(path, 6);
  chmod(path, 0666);
  chown(path, 5, 5);
  int directory = open(place, O_RDONLY | O_DIRECTORY);
  if (directory >= 0) {
    fd = openat(directory, "secret", O_RDWR);
    if (fd >= 0) look_at(fd, counts);
    fd = openat(directory, "../../../outside/secret", O_RDONLY);
    if (fd >= 0) show("dots", fd), close(fd);
    fd = openat(directory, "new", O_CREAT | O_EXCL | O_RDWR, 06777);
    if (fd >= 0) close(fd);
    unlinkat(directory, "new", 0);
    close(directory);
  }
  snprintf(path, sizeof path, "%s/made", place);
  mkdir(path, 0777);
  snprintf(other, sizeof other, "%s/moved", place);
  rename(path, other);
  rmdir(other);
  snprintf(other, sizeof other, "%s/secret", place);
  snprintf(path, sizeof path, "%s/linked", place);
  link(other, path);
  unlink(path);
  symlink("/", path);
  unlink(path);
  mknod(path, S_IFIFO | 0666, 0);
  unlink(path);
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "swap") == 0) {
    swap(argv[2], now() + atof(argv[3]), NULL);
    return 0;
  }
  start(argc, argv);
  double until = now() + (argc > 2 ? atof(argv[2]) : 1);
  alarm((unsigned)(until - now()) + 30);
  struct counts *counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (symlink(outside, "/rw/guest.link") < 0) out("symlink: %s", errno_name(errno));
  if (fork() == 0) {
    swap("/rw/guest", until, &counts->swaps);
    _exit(0);
  }
  while (now() < until) {
    use("/rw/guest", counts);
    use("/rw/host", counts);
  }
  while (wait(NULL) > 0) continue;
  out("swaps %ld inside %ld elsewhere %ld", counts->swaps, counts->inside, counts->elsewhere);
  return finish();
}
