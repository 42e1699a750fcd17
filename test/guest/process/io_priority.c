/* ioprio_set(2), ioprio_get(2), and what /proc/self/io counts. */
#include "guest.h"
#include <sys/syscall.h>
#include <sys/uio.h>

static long ioprio_set(int which, int who, int priority) {
  return syscall(SYS_ioprio_set, which, who, priority);
}

static long ioprio_get(int which, int who) { return syscall(SYS_ioprio_get, which, who); }

enum { PROCESS = 1, GROUP = 2, USER = 3, REALTIME = 1 << 13, BEST_EFFORT = 2 << 13, IDLE = 3 << 13 };

struct io {
  long rchar, wchar, syscr, syscw;
  /* The length of the text itself, which the next text counts. */
  long length;
};

static struct io counters(void) {
  struct io io = {0, 0, 0, 0, 0};
  char text[500] = "";
  int fd = open("/proc/self/io", O_RDONLY);
  io.length = read(fd, text, sizeof text - 1);
  close(fd);
  sscanf(text, "rchar: %ld wchar: %ld syscr: %ld syscw: %ld", &io.rchar, &io.wchar, &io.syscr, &io.syscw);
  return io;
}

int main(void) {
  setpgid(0, 0);
  R(ioprio_get(PROCESS, 0));
  R(ioprio_set(PROCESS, 0, BEST_EFFORT | 5));
  R(ioprio_get(PROCESS, getpid()));
  IN_CHILD("inherited", { R(ioprio_get(PROCESS, 0)); });
  IN_CHILD("of a group", {
    R(ioprio_set(PROCESS, 0, IDLE));
    R(ioprio_get(PROCESS, 0));
    R(ioprio_get(GROUP, 0));
    R(ioprio_set(GROUP, 0, REALTIME | 2));
    R(ioprio_get(PROCESS, getppid()));
  });
  R(ioprio_get(PROCESS, 0));
  R(ioprio_set(PROCESS, 0, 0));
  R(ioprio_set(PROCESS, 0, 1));
  R(ioprio_set(PROCESS, 0, 4 << 13));
  R(ioprio_set(9, 0, IDLE));
  R(ioprio_get(9, 0));
  R(ioprio_get(PROCESS, 999999));
  R(ioprio_get(GROUP, 999999));
  R(ioprio_get(USER, 999999));
  IN_CHILD("without privilege", {
    setuid(77);
    R(ioprio_set(PROCESS, 0, REALTIME));
    R(ioprio_set(PROCESS, 0, IDLE));
    R(ioprio_set(PROCESS, getppid(), IDLE));
    R(ioprio_get(PROCESS, getppid()));
  });

  char bytes[1000] = "";
  struct iovec both[2] = {{bytes, 30}, {bytes, 40}};
  int fd = open("data", O_RDWR | O_CREAT, 0600);
  struct io before = counters();
  write(fd, bytes, 1000);
  pwrite(fd, bytes, 10, 3);
  writev(fd, both, 2);
  write(-1, bytes, 5);
  pread(fd, bytes, 500, 900);
  read(fd, bytes, 500);
  struct io after = counters();
  out("read %ld, calls %ld", after.rchar - before.rchar - before.length, after.syscr - before.syscr);
  out("written %ld, calls %ld", after.wchar - before.wchar, after.syscw - before.syscw);
  before = counters();
  if (fork() == 0) {
    write(fd, bytes, 123);
    _exit(0);
  }
  wait(NULL);
  after = counters();
  out("written by the child %ld, calls %ld", after.wchar - before.wchar, after.syscw - before.syscw);
  return 0;
}
