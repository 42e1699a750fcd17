// A guest that uses things up: hog WHAT. Prints what stopped it and how it fares afterwards.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 30000

static void say(const char *what, long count, int error) {
  printf("%s %s after %s\n", what, error ? strerrorname_np(error) : "no error", count > 0 ? "some" : "none");
  fprintf(stderr, "%s: %ld, errno %d\n", what, count, error);
  fflush(stdout);
}

/* Opens until it fails, and closes everything again. */
static void descriptors(const char *what) {
  static int fds[MANY][2];
  long count = 0;
  int error = 0;
  for (; count < 30000; count++) {
    int r;
    fds[count][1] = -1;
    if (!strcmp(what, "files")) {
      r = fds[count][0] = open("/bin/busybox", O_RDONLY);
    } else if (!strcmp(what, "hostfiles")) {
      char name[64];
      snprintf(name, sizeof name, "/data/v/%ld", count);
      r = fds[count][0] = open(name, O_CREAT | O_RDWR, 0600);
    } else if (!strcmp(what, "pipes")) {
      r = pipe(fds[count]);
    } else if (!strcmp(what, "sockets")) {
      r = socketpair(AF_UNIX, SOCK_STREAM, 0, fds[count]);
    } else if (!strcmp(what, "memfds")) {
      r = fds[count][0] = memfd_create("x", 0);
    } else if (!strcmp(what, "epolls")) {
      r = fds[count][0] = epoll_create1(0);
    } else {
      r = fds[count][0] = eventfd(0, 0);
    }
    if (r < 0) {
      error = errno;
      break;
    }
  }
  say(what, count, error);
  for (long i = 0; i < count; i++) {
    close(fds[i][0]);
    if (fds[i][1] >= 0) close(fds[i][1]);
  }
  int again = open("/bin/busybox", O_RDONLY);
  printf("and then a file %s\n", again >= 0 ? "opens" : "does not open");
}

static void forks(void) {
  static pid_t children[MANY];
  long count = 0;
  int error = 0;
  for (; count < 20000; count++) {
    pid_t pid = fork();
    if (pid == 0) {
      pause();
      _exit(0);
    }
    if (pid < 0) {
      error = errno;
      break;
    }
    children[count] = pid;
  }
  say("forks", count, error);
  for (long i = 0; i < count; i++) kill(children[i], SIGKILL);
  while (wait(NULL) > 0) {
  }
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  printf("and then fork %s\n", pid > 0 ? "works" : "fails");
}

static void *wait_for_ever(void *unused) {
  pause();
  return unused;
}

static void threads(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  long count = 0;
  int error = 0;
  pthread_t thread;
  for (; count < 20000 && !error; count++) error = pthread_create(&thread, &attributes, wait_for_ever, NULL);
  say("threads", count - 1, error);
}

/* One large mapping whose pages come from scattered places: touched backwards, page by page, after fork. */
static void scattered(void) {
  long pages = 100000;
  char *area = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return;
  memset(area, 1, pages * 4096);
  pid_t pid = fork();
  if (pid == 0) {
    for (long i = 0; i < pages; i += 2) area[i * 4096] = 2;
    for (long i = 0; i < pages; i += 2) if (area[i * 4096] != 2) _exit(3);
    for (long i = 1; i < pages; i += 2) if (area[i * 4096] != 1) _exit(4);
    _exit(0);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  long wrong = 0;
  for (long i = 0; i < pages; i++) wrong += area[i * 4096] != 1;
  printf("scattered: child %x, wrong pages %ld\n", status, wrong);
}

/* Mappings that cannot be merged: every second page has another protection. */
static void holes(void) {
  long pages = 160000;
  char *area = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  long count = 0;
  int error = 0;
  for (long i = 0; i < pages; i += 2, count++)
    if (mprotect(area + i * 4096, 4096, PROT_NONE) < 0) {
      error = errno;
      break;
    }
  say("holes", count, error);
}

static void memory(const char *megabytes) {
  size_t step = 16 << 20, total = 0;
  int error = 0;
  for (; total < (size_t)atol(megabytes) << 20; total += step) {
    char *p = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
      error = errno;
      break;
    }
    memset(p, 1, step);
  }
  say("memory", total, error);
}

/* Calls that change nothing, and that a runtime may be tempted to answer unseen. */
static void wakes(void) {
  static int word;
  for (int i = 0; i < 300; i++) syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  say("wakes", 300, 0);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "segv")) *(volatile int *)8 = 1;
  else if (!strcmp(what, "forks")) forks();
  else if (!strcmp(what, "threads")) threads();
  else if (!strcmp(what, "scattered")) scattered();
  else if (!strcmp(what, "holes")) holes();
  else if (!strcmp(what, "wakes")) wakes();
  else if (!strcmp(what, "memory")) memory(argc > 2 ? argv[2] : "256");
  else descriptors(what);
  return 0;
}
